import { Button, Checkbox, Form, Radio } from "@patternfly/react-core";
import { useEffect } from "preact/hooks";
import type { ReactNode } from "react";
import { call } from "../../api.ts";
import { TextField } from "../../components/field.tsx";
import { Waiting } from "../../components/lazy.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import { type Action, useAction } from "../../stores/action.ts";
import { type AddDraft, isStepComplete, nameOf, stepOfError } from "./add_hypervisor.ts";
import { HostKeyFacts } from "./host_key.tsx";

export interface StepProps {
  draft: AddDraft;
  set: (patch: Partial<AddDraft>) => void;
  /** By path of the request. */
  errors: Record<string, string>;
}

interface StepFormProps {
  submitText: string;
  canSubmit: boolean;
  busy?: boolean;
  onSubmit: () => void;
  onBack?: () => void;
  children: ReactNode;
}

/** A step as a form: Enter goes on. */
export function StepForm({ submitText, canSubmit, busy = false, onSubmit, onBack, children }: StepFormProps) {
  return (
    <Form
      noValidate
      isWidthLimited
      maxWidth="44rem"
      onSubmit={(event) => {
        event.preventDefault();
        if (canSubmit && !busy) onSubmit();
      }}
    >
      {children}
      <div className="kv-actions">
        <Button type="submit" isLoading={busy} isDisabled={!canSubmit || busy}>{submitText}</Button>
        {onBack && <Button variant="secondary" isDisabled={busy} onClick={onBack}>Back</Button>}
        <Button variant="link" component="a" href="/hypervisors">Cancel</Button>
      </div>
    </Form>
  );
}

interface PlaceStepProps extends StepProps {
  add: Pick<Action<[]>, "busy" | "error">;
  onAdd: () => void;
  onNext: () => void;
}

export function PlaceStep({ draft, set, errors, add, onAdd, onNext }: PlaceStepProps) {
  const here = draft.where === "here";
  return (
    <StepForm
      submitText={here ? "Add hypervisor" : "Read host key"}
      canSubmit={isStepComplete("place", draft)}
      busy={add.busy}
      onSubmit={here ? onAdd : onNext}
    >
      {add.error && stepOfError(errors, draft) === null
        ? <InlineProblem title="The hypervisor was not added" error={add.error} />
        : null}
      <div role="radiogroup" aria-label="Where it is" className="kv-choices">
        <Radio
          id="where-ssh"
          name="where"
          label="Another host, over SSH"
          description="The agent can be installed for you."
          isChecked={!here}
          onChange={() => set({ where: "ssh" })}
        />
        <Radio
          id="where-here"
          name="where"
          label="This host"
          description="An agent runs beside the dashboard and listens on a local socket."
          isChecked={here}
          onChange={() => set({ where: "here" })}
        />
      </div>
      {!here && (
        <div className="kv-field-row kv-address-row">
          <TextField
            id="hypervisor-address"
            label="Address"
            required
            value={draft.address}
            onChange={(address) => set({ address })}
            help="Host name or IP address"
            error={errors["ssh.address"]}
          />
          <TextField
            id="hypervisor-port"
            label="SSH port"
            type="number"
            min={1}
            max={65535}
            value={draft.port}
            onChange={(port) => set({ port })}
            error={errors["ssh.port"]}
          />
        </div>
      )}
      <TextField
        id="hypervisor-name"
        label="Name"
        required={here}
        value={draft.name}
        onChange={(name) => set({ name })}
        {...(here ? {} : { placeholder: nameOf(draft), help: "How it is called in this dashboard" })}
        error={errors.name}
      />
      {here && (
        <TextField
          id="socket-path"
          label="Socket of its agent"
          required
          value={draft.socketPath}
          onChange={(socketPath) => set({ socketPath })}
          help="Where kvm-vdi agent listens on this host"
          error={errors.socketPath}
        />
      )}
    </StepForm>
  );
}

interface KeyStepProps extends StepProps {
  onBack: () => void;
  onNext: () => void;
}

/** Shows the key with which the host answers, to be compared before anything secret is sent to it. */
export function KeyStep({ draft, set, onBack, onNext }: KeyStepProps) {
  const { hostKey } = draft;
  const read = useAction(async () => {
    const body = { address: draft.address.trim(), port: Number(draft.port) };
    set({ hostKey: (await call("readHostKey", { body })).hostKey });
  });
  useEffect(() => {
    if (!hostKey) void read.run();
  }, []);
  return (
    <StepForm submitText="Next" canSubmit={isStepComplete("key", draft)} onSubmit={onNext} onBack={onBack}>
      {read.error
        ? (
          <InlineProblem
            title={`${draft.address} did not show its key`}
            error={read.error}
            onRetry={() => void read.run()}
          />
        )
        : null}
      {read.busy && <Waiting label="Asking the host" />}
      {hostKey && (
        <>
          <HostKeyFacts hostKey={hostKey} />
          <Checkbox
            id="key-confirmed"
            label="The host shows the same fingerprint"
            description="From now on this dashboard talks to this key only."
            isChecked={draft.confirmed}
            onChange={(_, confirmed) => set({ confirmed })}
          />
        </>
      )}
    </StepForm>
  );
}
