import {
  Card,
  CardBody,
  CardTitle,
  PageSection,
  ProgressStep,
  ProgressStepper,
} from "@patternfly/react-core";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ReactNode } from "react";
import { call, fieldErrors } from "../../api.ts";
import { PageHead } from "../../components/page_head.tsx";
import { publish } from "../../events.ts";
import { useAction } from "../../stores/action.ts";
import {
  type AddDraft,
  type AddStep,
  changeDraft,
  newDraft,
  requestOf,
  stepOfError,
} from "./add_hypervisor.ts";
import { AgentStep } from "./add_hypervisor_agent.tsx";
import { type Added, AddResult } from "./add_hypervisor_result.tsx";
import { KeyStep, PlaceStep } from "./add_hypervisor_steps.tsx";

const titles: Record<AddStep, string> = {
  place: "Host",
  key: "Host key",
  agent: "Agent",
  result: "Connect",
};
const sshSteps: AddStep[] = ["place", "key", "agent", "result"];
const hereSteps: AddStep[] = ["place", "result"];

/** Adds a hypervisor: this host's agent, or another host over SSH whose key is confirmed first. */
export function AddHypervisorPage() {
  const [draft, setDraft] = useState(newDraft);
  const [step, setStep] = useState<AddStep>("place");
  const [added, setAdded] = useState<Added | null>(null);
  const set = (patch: Partial<AddDraft>) => setDraft((old) => changeDraft(old, patch));
  const add = useAction(async () => {
    try {
      const answer = await call("createHypervisor", { body: requestOf(draft) });
      publish({ type: "hypervisor", hypervisor: answer.hypervisor });
      setAdded({ hypervisor: answer.hypervisor, jobId: answer.job?.id ?? null });
      setStep("result");
    } catch (error) {
      setStep(stepOfError(fieldErrors(error), draft) ?? step);
      throw error;
    }
  });
  const parts = { draft, set, errors: fieldErrors(add.error) };
  const submit = () => void add.run();
  return (
    <>
      <PageHead
        title="Add hypervisor"
        trail={[{ href: "/hypervisors", text: "Hypervisors" }]}
        description="A Linux host with libvirt and QEMU. The agent on it does the work; this dashboard reaches it by a local socket or over one SSH connection."
      />
      <PageSection isFilled>
        <div className="kv-wizard">
          <WizardSteps steps={draft.where === "here" ? hereSteps : sshSteps} current={step} />
          <StepCard key={step} title={titles[step]}>
            {step === "place" && (
              <PlaceStep
                {...parts}
                add={add}
                onAdd={submit}
                onNext={() => setStep("key")}
              />
            )}
            {step === "key" && (
              <KeyStep
                {...parts}
                onBack={() => setStep("place")}
                onNext={() => setStep("agent")}
              />
            )}
            {step === "agent" && (
              <AgentStep
                {...parts}
                add={add}
                onBack={() => setStep("key")}
                onAdd={submit}
              />
            )}
            {step === "result" && added && (
              <AddResult
                added={added}
                draft={draft}
                set={set}
                onJob={(jobId) => setAdded({ ...added, jobId })}
              />
            )}
          </StepCard>
        </div>
      </PageSection>
    </>
  );
}

function WizardSteps({ steps, current }: { steps: AddStep[]; current: AddStep }) {
  const place = steps.indexOf(current);
  return (
    <ProgressStepper aria-label="Steps" className="kv-wizard-steps">
      {steps.map((step, index) => (
        <ProgressStep
          key={step}
          id={`add-${step}`}
          titleId={`add-${step}-title`}
          variant={index < place ? "success" : index === place ? "info" : "pending"}
          isCurrent={index === place}
          aria-label={`${titles[step]}: ${index < place ? "done" : index === place ? "now" : "later"}`}
        >
          {titles[step]}
        </ProgressStep>
      ))}
    </ProgressStepper>
  );
}

/** One step; its title gets the focus when it appears, so that readers and keyboards are where the eye is. */
function StepCard({ title, children }: { title: string; children: ReactNode }) {
  const heading = useRef<HTMLDivElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <Card>
      <CardTitle component="h2">
        <span ref={heading} tabIndex={-1} className="kv-step-title">{title}</span>
      </CardTitle>
      <CardBody>{children}</CardBody>
    </Card>
  );
}
