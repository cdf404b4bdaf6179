import { Card, CardBody, CardTitle, Grid, GridItem, Radio } from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { Hypervisor, UpdateHypervisor } from "../../../contracts/hypervisor.ts";
import { DomainTypeSetting } from "../../../contracts/hypervisor.ts";
import { fieldErrors } from "../../api.ts";
import { SelectField, TextField } from "../../components/field.tsx";
import { SectionForm } from "../../components/section_form.tsx";
import { useAction } from "../../stores/action.ts";
import { isAdmin } from "../../stores/session.ts";
import { HostKeyCheck } from "./host_key.tsx";
import { saveHypervisor } from "./hypervisor_actions.ts";

interface Props {
  hypervisor: Hypervisor;
}

/** Name, network, displays, directories and SSH of a hypervisor. */
export function HypervisorSettings({ hypervisor }: Props) {
  return (
    <Grid hasGutter>
      <GridItem lg={6}>
        <GeneralForm hypervisor={hypervisor} />
      </GridItem>
      <GridItem lg={6}>
        <AgentForm hypervisor={hypervisor} />
      </GridItem>
      {hypervisor.ssh && (
        <>
          <GridItem lg={6}>
            <SshForm hypervisor={hypervisor} />
          </GridItem>
          <GridItem lg={6}>
            <Card isFullHeight>
              <CardTitle component="h2">Host key</CardTitle>
              <CardBody>
                <HostKeyCheck hypervisor={hypervisor} />
              </CardBody>
            </Card>
          </GridItem>
        </>
      )}
    </Grid>
  );
}

/** A draft of some fields: what differs from the hypervisor is sent. */
function useDraft<Draft extends Record<string, string | null>>(
  hypervisor: Hypervisor,
  read: (hypervisor: Hypervisor) => Draft,
  request: (changes: Partial<Draft>) => UpdateHypervisor,
) {
  const [draft, setDraft] = useState(() => read(hypervisor));
  const before = read(hypervisor);
  const changes = Object.fromEntries(
    Object.entries(draft).filter(([key, value]) => before[key] !== value),
  ) as Partial<Draft>;
  const action = useAction(async () => setDraft(read(await saveHypervisor(hypervisor, request(changes)))));
  return {
    draft,
    set: (patch: Partial<Draft>) => setDraft((old) => ({ ...old, ...patch })),
    undo: () => setDraft(before),
    changed: Object.keys(changes).length > 0,
    action,
    errors: fieldErrors(action.error),
  };
}

const onlyAdmins = () => isAdmin.value ? null : "Only administrators can change this.";

function GeneralForm({ hypervisor }: Props) {
  const form = useDraft(
    hypervisor,
    ({ name, defaultNetwork, displayAddress }) => ({ name, defaultNetwork, displayAddress }),
    (changes) => changes as UpdateHypervisor,
  );
  const { draft, set, errors } = form;
  const direct = draft.displayAddress !== null;
  return (
    <SectionForm
      title="General"
      action={form.action}
      changed={form.changed}
      onUndo={form.undo}
      disabled={onlyAdmins()}
      shownAtField={Boolean(errors.name || errors.displayAddress || errors.defaultNetwork)}
    >
      <TextField
        id="hypervisor-name"
        label="Name"
        required
        value={draft.name ?? ""}
        onChange={(name) => set({ name })}
        error={errors.name}
      />
      <NetworkField
        hypervisor={hypervisor}
        value={draft.defaultNetwork}
        onChange={(defaultNetwork) => set({ defaultNetwork })}
        error={errors.defaultNetwork}
      />
      <div role="radiogroup" aria-label="How native viewers reach displays" className="kv-choices">
        <Radio
          id="display-gateway"
          name="display"
          label="Displays go through the gateway"
          description="Encrypted, on the dashboard's own port; displays stay on the host's loopback."
          isChecked={!direct}
          onChange={() => set({ displayAddress: null })}
        />
        <Radio
          id="display-direct"
          name="display"
          label="Native viewers connect to the host directly"
          description="Less work for the dashboard; needs an open network between users and host."
          isChecked={direct}
          onChange={() => set({ displayAddress: hypervisor.displayAddress ?? hypervisor.ssh?.address ?? "" })}
        />
      </div>
      {direct && (
        <TextField
          id="display-address"
          label="Display address"
          required
          value={draft.displayAddress ?? ""}
          onChange={(displayAddress) => set({ displayAddress })}
          help="The host's name or IP address as users' devices reach it"
          error={errors.displayAddress}
        />
      )}
    </SectionForm>
  );
}

interface NetworkFieldProps extends Props {
  value: string | null;
  onChange: (value: string | null) => void;
  error: string | undefined;
}

function NetworkField({ hypervisor, value, onChange, error }: NetworkFieldProps) {
  const networks = (hypervisor.facts?.networks ?? []).map(({ name, kind, active }) => ({
    value: kind === "bridge" ? `bridge:${name}` : name,
    label: `${name} (${kind}${active ? "" : ", not active"})`,
  }));
  const gone = value !== null && !networks.some((one) => one.value === value);
  return (
    <SelectField
      id="default-network"
      label="Network of new machines"
      value={value ?? ""}
      onChange={(chosen) => onChange(chosen || null)}
      options={[
        { value: "", label: "The first that is active" },
        ...networks,
        ...(gone ? [{ value, label: value }] : []),
      ]}
      error={error}
    />
  );
}

const domainTypes = {
  auto: "KVM if it works, else emulation",
  kvm: "KVM only",
  qemu: "Emulation (slow)",
};

function AgentForm({ hypervisor }: Props) {
  const settings = hypervisor.facts?.settings ?? null;
  const form = useDraft(
    hypervisor,
    ({ facts }) => ({
      imageDir: facts?.settings.imageDir ?? "",
      isoDir: facts?.settings.isoDir ?? "",
      scratchDir: facts?.settings.scratchDir ?? "",
      domainType: facts?.settings.domainType ?? "auto" as string,
    }),
    (changes) => ({ settings: changes as UpdateHypervisor["settings"] }),
  );
  const { draft, set } = form;
  const errors = Object.fromEntries(
    Object.entries(form.errors).map(([path, message]) => [path.replace(/^settings\./, ""), message]),
  );
  const disabled = onlyAdmins() ??
    (!settings || hypervisor.state === "offline" ? "Can be changed while its agent answers." : null);
  const directory = (key: "imageDir" | "isoDir" | "scratchDir", label: string, help: string) => (
    <TextField
      id={`settings-${key}`}
      label={label}
      value={draft[key]}
      onChange={(path) => set({ [key]: path })}
      help={help}
      error={errors[key]}
      disabled={disabled !== null}
    />
  );
  return (
    <SectionForm
      title="Directories and guests"
      action={form.action}
      changed={form.changed}
      onUndo={form.undo}
      disabled={disabled}
      shownAtField={Object.keys(draft).some((key) => errors[key])}
    >
      {directory("imageDir", "Images", "Must exist. Files that are elsewhere already stay where they are.")}
      {directory("isoDir", "ISO images", "Where installation media are looked for and uploaded to")}
      {directory(
        "scratchDir",
        "Virtual snapshots",
        "What guests write until they are switched off; a fast disk helps",
      )}
      <SelectField
        id="settings-domainType"
        label="New machines use"
        value={draft.domainType}
        onChange={(domainType) => set({ domainType })}
        options={DomainTypeSetting.options.map((value) => ({ value, label: domainTypes[value] }))}
        error={errors.domainType}
        disabled={disabled !== null}
      />
    </SectionForm>
  );
}

function SshForm({ hypervisor }: Props) {
  const form = useDraft(
    hypervisor,
    ({ ssh }) => ({
      address: ssh?.address ?? "",
      port: String(ssh?.port ?? 22),
      username: ssh?.username ?? "",
    }),
    ({ port, ...changes }) => ({
      ssh: { ...changes, ...(port === undefined ? {} : { port: Number(port) }) },
    }),
  );
  const { draft, set, errors } = form;
  return (
    <SectionForm
      title="SSH"
      text="A new address must show the same host key. The connection is made again after a change."
      action={form.action}
      changed={form.changed}
      onUndo={form.undo}
      disabled={onlyAdmins()}
      shownAtField={Object.keys(draft).some((key) => errors[`ssh.${key}`])}
    >
      <TextField
        id="ssh-address"
        label="Address"
        required
        value={draft.address}
        onChange={(address) => set({ address })}
        error={errors["ssh.address"]}
      />
      <TextField
        id="ssh-port"
        label="Port"
        type="number"
        min={1}
        max={65535}
        value={draft.port}
        onChange={(port) => set({ port })}
        error={errors["ssh.port"]}
      />
      <TextField
        id="ssh-username"
        label="Account"
        value={draft.username}
        onChange={(username) => set({ username })}
        help="May open the agent's socket; needs no shell and no sudo"
        error={errors["ssh.username"]}
      />
    </SectionForm>
  );
}
