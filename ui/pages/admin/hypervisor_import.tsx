import {
  Button,
  Card,
  CardBody,
  CardTitle,
  Content,
  FormSelect,
  FormSelectOption,
} from "@patternfly/react-core";
import { useState } from "preact/hooks";
import type { z } from "zod";
import type { Hypervisor, ImportableDomain } from "../../../contracts/hypervisor.ts";
import type { Role } from "../../../contracts/machine.ts";
import { call, messageOf } from "../../api.ts";
import { type Column, DataTable } from "../../components/data_table.tsx";
import { roleHelp, roleTexts } from "../../components/states.tsx";
import { formatMiB, plural } from "../../format.ts";
import { useAction } from "../../stores/action.ts";
import { followJob } from "../../stores/follow.ts";
import { useLoad } from "../../stores/load.ts";

/** What a domain becomes: a role, and of a vdi the initial that it is a clone of. */
interface Choice {
  value: string;
  label: string;
  role: Role;
  sourceId?: string;
}
const simple: Choice = { value: "simple", label: `${roleTexts.simple}: ${roleHelp.simple}`, role: "simple" };
const fixedChoices: Choice[] = [
  simple,
  { value: "source", label: `${roleTexts.source}: ${roleHelp.source}`, role: "source" },
  { value: "initial", label: `${roleTexts.initial}: ${roleHelp.initial}`, role: "initial" },
];

/** The roles that a domain of this host can get; clones only of initials that are there. */
function useChoices(hypervisor: Hypervisor): Choice[] {
  const initials = useLoad(
    `initials ${hypervisor.id}`,
    (signal) =>
      call("listMachines", { query: { role: "initial", hypervisorId: hypervisor.id, limit: 500 }, signal }),
  );
  const clones = (initials.value?.items ?? []).map(({ id, name }): Choice => ({
    value: `vdi ${id}`,
    label: `${roleTexts.vdi}: a desktop, clone of ${name}`,
    role: "vdi",
    sourceId: id,
  }));
  return [...fixedChoices, ...clones];
}

/** libvirt domains that are not managed yet: chosen, given a role, and taken over as they are. */
export function HypervisorImport({ hypervisor }: { hypervisor: Hypervisor }) {
  const loaded = useLoad(
    `domains ${hypervisor.id} ${hypervisor.machineCount}`,
    (signal) => call("listImportableDomains", { params: { id: hypervisor.id }, signal }),
  );
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const choices = useChoices(hypervisor);
  const [picked, setPicked] = useState<Record<string, string>>({});
  const choiceOf = (id: string) => choices.find(({ value }) => value === picked[id]) ?? simple;
  const [failures, setFailures] = useState<Record<string, string>>({});
  const domains = loaded.value?.items ?? [];
  const wanted = domains.filter(({ id }) => chosen.has(id));
  const run = useAction(async () => {
    const found: Record<string, string> = {};
    for (const domain of wanted) {
      try {
        await importDomain(hypervisor, domain, choiceOf(domain.id));
      } catch (error) {
        found[domain.id] = messageOf(error);
      }
    }
    setFailures(found);
    setChosen(new Set(Object.keys(found)));
    loaded.reload();
  });
  return (
    <Card>
      <CardTitle component="h2">Import existing machines</CardTitle>
      <CardBody>
        <div className="kv-stack">
          <Content component="p">
            libvirt domains on {hypervisor.name}{" "}
            that this dashboard does not manage yet. Their disks, addresses and settings stay as they are, and
            running ones go on running.
          </Content>
          <DataTable
            label="Domains"
            loaded={loaded}
            columns={columnsOf(choices, choiceOf, (id, value) => setPicked({ ...picked, [id]: value }))}
            nameOf={(domain) => domain.name}
            selection={{
              ids: chosen,
              toggle: (ids, on) => {
                const next = new Set(chosen);
                for (const id of ids) on ? next.add(id) : next.delete(id);
                setChosen(next);
              },
            }}
            detail={(domain) =>
              failures[domain.id] && <span className="kv-bad-text">{failures[domain.id]}</span>}
            empty={{
              title: "Nothing to import",
              text: "Every domain of this host is managed already. What you define with virsh appears here.",
            }}
          />
          {domains.length > 0 && (
            <div>
              <Button
                isLoading={run.busy}
                isDisabled={run.busy || wanted.length === 0}
                onClick={() => void run.run()}
              >
                {wanted.length === 0 ? "Import" : `Import ${plural(wanted.length, "machine")}`}
              </Button>
            </div>
          )}
        </div>
      </CardBody>
    </Card>
  );
}

type Domain = z.infer<typeof ImportableDomain>;

async function importDomain(hypervisor: Hypervisor, domain: Domain, choice: Choice): Promise<void> {
  const { job } = await call("createMachines", {
    body: {
      name: domain.name,
      role: choice.role,
      ...(choice.sourceId ? { sourceId: choice.sourceId } : {}),
      hypervisorId: hypervisor.id,
      disk: { kind: "domain", domainId: domain.id },
    },
  });
  followJob(job, `${domain.name} imported`);
}

function columnsOf(
  choices: Choice[],
  choiceOf: (id: string) => Choice,
  onPick: (id: string, value: string) => void,
): Column<Domain>[] {
  return [
    { title: "Domain", nowrap: true, render: (domain) => domain.name },
    { title: "State", nowrap: true, render: (domain) => domain.state },
    { title: "Memory", nowrap: true, minor: true, render: (domain) => formatMiB(domain.memoryMiB) },
    {
      title: "Disks",
      minor: true,
      render: (domain) => domain.disks.map((path) => <div key={path} className="kv-path">{path}</div>),
    },
    {
      title: "Import as",
      render: (domain) => (
        <FormSelect
          aria-label={`Role of ${domain.name}`}
          value={choiceOf(domain.id).value}
          onChange={(_, value) => onPick(domain.id, value)}
        >
          {choices.map(({ value, label }) => <FormSelectOption key={value} value={value} label={label} />)}
        </FormSelect>
      ),
    },
  ];
}
