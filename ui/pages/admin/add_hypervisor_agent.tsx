import { Content, Radio } from "@patternfly/react-core";
import { call } from "../../api.ts";
import { CopyBlock } from "../../components/copy_block.tsx";
import { TextField } from "../../components/field.tsx";
import { InlineProblem } from "../../components/problem.tsx";
import type { Action } from "../../stores/action.ts";
import { useLoad } from "../../stores/load.ts";
import { isStepComplete } from "./add_hypervisor.ts";
import { StepForm, type StepProps } from "./add_hypervisor_steps.tsx";
import { credentialErrors } from "./credentials.ts";
import { CredentialsFields } from "./credentials_fields.tsx";
import { OwnKeys } from "./own_keys.tsx";

interface AgentStepProps extends StepProps {
  add: Pick<Action<[]>, "busy" | "error">;
  onBack: () => void;
  onAdd: () => void;
}

const installFields = /^(enrol\.)?(username|password|privateKey|passphrase|sudoPassword)$/;
const manualFields = /^ssh\.username$/;

/** How the agent gets onto the host. */
export function AgentStep({ draft, set, errors, add, onBack, onAdd }: AgentStepProps) {
  const install = draft.how === "install";
  const shownAtFields = install ? installFields : manualFields;
  const atFields = Object.keys(errors).length > 0 &&
    Object.keys(errors).every((path) => shownAtFields.test(path));
  return (
    <StepForm
      submitText={install ? "Add and install" : "Add hypervisor"}
      canSubmit={isStepComplete("agent", draft)}
      busy={add.busy}
      onSubmit={onAdd}
      onBack={onBack}
    >
      {add.error && !atFields
        ? <InlineProblem title="The hypervisor was not added" error={add.error} />
        : null}
      <div role="radiogroup" aria-label="How the agent gets there" className="kv-choices">
        <Radio
          id="how-install"
          name="how"
          label="Install it for me"
          description="Needs an account that may sudo, once. Takes about a minute."
          isChecked={install}
          onChange={() => set({ how: "install" })}
        />
        <Radio
          id="how-manual"
          name="how"
          label="It is installed already"
          description="Or you install it by hand: nothing but this dashboard's public key is needed."
          isChecked={!install}
          onChange={() => set({ how: "manual" })}
        />
      </div>
      {install
        ? (
          <CredentialsFields
            draft={draft.credentials}
            onChange={(credentials) => set({ credentials })}
            errors={credentialErrors(errors)}
          />
        )
        : <ManualFields draft={draft} set={set} errors={errors} />}
    </StepForm>
  );
}

/** What to do on the host by hand. */
function ManualFields({ draft, set, errors }: StepProps) {
  const keys = useLoad("ssh-keys", (signal) => call("listOwnKeys", { signal }));
  const key = keys.value?.items.find(({ algorithm }) => algorithm === "ed25519")?.publicKey ?? "KEY";
  return (
    <div className="kv-stack">
      <div>
        <Content component="h3">This dashboard's public key</Content>
        <Content component="p">
          A line of <code>~/.ssh/authorized_keys</code> of the account below, which must be in the group{" "}
          <code>kvm-vdi</code> of the host:
        </Content>
        <OwnKeys />
      </div>
      <TextField
        id="ssh-username"
        label="Account"
        required
        value={draft.username}
        onChange={(username) => set({ username })}
        help="May open the agent's socket; needs no shell and no sudo"
        error={errors["ssh.username"]}
      />
      <div>
        <Content component="h3">If the agent is not there yet</Content>
        <Content component="p">
          Copy the <code>kvm-vdi</code>{" "}
          executable of this dashboard to the host and run there, as root. It makes the account, allows the
          key and starts the agent:
        </Content>
        <CopyBlock
          label="command"
          text={`./kvm-vdi agent --install --install-packages --authorized-key '${key}'`}
        />
      </div>
    </div>
  );
}
