import { Alert, Button, Content, Form, Spinner } from "@patternfly/react-core";
import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { fieldErrors } from "../../api.ts";
import { InlineProblem } from "../../components/problem.tsx";
import { useAction } from "../../stores/action.ts";
import { hypervisors } from "../../stores/places.ts";
import type { AddDraft } from "./add_hypervisor.ts";
import { areComplete, credentialErrors, credentialsOf } from "./credentials.ts";
import { CredentialsFields } from "./credentials_fields.tsx";
import { EnrolProgress } from "./enrol_progress.tsx";
import { enrolAgain } from "./hypervisor_actions.ts";
import { HypervisorLabels } from "./hypervisor_labels.tsx";

export interface Added {
  hypervisor: Hypervisor;
  /** The installation of its agent; null when there was nothing to install. */
  jobId: string | null;
}

interface Props {
  added: Added;
  draft: AddDraft;
  set: (patch: Partial<AddDraft>) => void;
  onJob: (jobId: string) => void;
}

/** What becomes of a hypervisor that was just added: the installation, then its first answer. */
export function AddResult({ added, draft, set, onJob }: Props) {
  const hypervisor = hypervisors.value.find(({ id }) => id === added.hypervisor.id) ?? added.hypervisor;
  const connection = <FirstAnswer hypervisor={hypervisor} />;
  if (!added.jobId) return connection;
  return (
    <EnrolProgress
      key={added.jobId}
      jobId={added.jobId}
      hypervisorName={hypervisor.name}
      success={connection}
      retry={<Retry hypervisor={hypervisor} draft={draft} set={set} onJob={onJob} />}
    />
  );
}

function Retry({ hypervisor, draft, set, onJob }: Omit<Props, "added"> & { hypervisor: Hypervisor }) {
  const again = useAction(async () =>
    onJob((await enrolAgain(hypervisor, credentialsOf(draft.credentials))).id)
  );
  const complete = areComplete(draft.credentials);
  return (
    <Form
      noValidate
      isWidthLimited
      maxWidth="44rem"
      onSubmit={(event) => {
        event.preventDefault();
        if (complete && !again.busy) void again.run();
      }}
    >
      <Content component="p">
        The hypervisor is added. Correct what was wrong, then install the agent again; steps that are done are
        not repeated needlessly.
      </Content>
      {again.error ? <InlineProblem title="The installation did not start" error={again.error} /> : null}
      <CredentialsFields
        draft={draft.credentials}
        onChange={(credentials) => set({ credentials })}
        errors={credentialErrors(fieldErrors(again.error))}
      />
      <div className="kv-actions">
        <Button type="submit" isLoading={again.busy} isDisabled={!complete || again.busy}>
          Install again
        </Button>
        <Button variant="link" component="a" href={`/hypervisors/${hypervisor.id}`}>Leave it for now</Button>
      </div>
    </Form>
  );
}

function FirstAnswer({ hypervisor }: { hypervisor: Hypervisor }) {
  const { name, state, stateReason } = hypervisor;
  return (
    <div className="kv-stack" aria-live="polite">
      <div className="kv-labels">
        <b>{name}</b>
        <HypervisorLabels hypervisor={hypervisor} />
      </div>
      {state === "online"
        ? (
          <Alert isInline component="p" variant="success" title={`${name} is ready`}>
            It can run machines now. Import what runs there already, or create new ones.
          </Alert>
        )
        : (
          <div className="kv-waiting-line">
            <Spinner size="md" aria-label="Waiting" />
            <span>
              Waiting for its agent{stateReason ? `: ${stateReason}` : "…"}{" "}
              It connects by itself as soon as it can.
            </span>
          </div>
        )}
      <div className="kv-actions">
        <Button component="a" href={`/hypervisors/${hypervisor.id}`}>Open {name}</Button>
        <Button variant="link" component="a" href={`/hypervisors/${hypervisor.id}?tab=import`}>
          Import machines
        </Button>
      </div>
    </div>
  );
}
