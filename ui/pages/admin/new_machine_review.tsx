import { Content, List, ListItem } from "@patternfly/react-core";
import type { Machine } from "../../../contracts/machine.ts";
import { Facts } from "../../components/facts.tsx";
import { roleTexts } from "../../components/states.tsx";
import { formatMiB, plural, previewNames } from "../../format.ts";
import { hypervisorName } from "../../stores/places.ts";
import { hasOwnDisk, type NewMachine, placesOf } from "./new_machine.ts";

const shownNames = 5;

/** What the form asks for, in words, before it is sent. */
export function NewMachineReview({ form, parent }: { form: NewMachine; parent: Machine | undefined }) {
  const count = form.role === "vdi" ? Math.max(1, Number(form.count) || 1) : 1;
  const names = form.name.trim() === "" ? [] : previewNames(form.name.trim(), count, shownNames);
  const adopted = hasOwnDisk(form.role) && form.disk === "domain";
  return (
    <>
      <Facts
        columns={1}
        items={{
          Role: roleTexts[form.role],
          [form.role === "vdi" ? "Initial" : "Source"]: hasOwnDisk(form.role)
            ? null
            : parent?.name ?? "not chosen yet",
          [placesOf(form).length > 1 ? "Hypervisors" : "Hypervisor"]:
            (form.role === "vdi" ? placesOf(form) : [form.hypervisorId]).filter(Boolean).map(hypervisorName)
              .join(", ") || "–",
          Disk: diskWords(form),
          Hardware: adopted
            ? "as the domain has it"
            : `${plural(Number(form.vcpus), "vCPU")}, ${formatMiB(Number(form.memoryMiB))}`,
          Network: adopted ? null : form.network || "–",
        }}
      />
      <h3 className="kv-subhead kv-gap-above">{plural(count, "machine")}</h3>
      {names.length === 0 ? <Content component="p">Enter a name.</Content> : (
        <List isPlain>
          {names.map((name) => <ListItem key={name}>{name}</ListItem>)}
          {count > names.length && <ListItem key="more">and {count - names.length} more</ListItem>}
        </List>
      )}
      {count > 1 && (
        <Content component="small">Names that are taken are skipped; counting goes on after them.</Content>
      )}
    </>
  );
}

function diskWords(form: NewMachine): string {
  if (form.role === "initial") {
    return form.copyNow ? "copied from the source at once" : "none until you copy it";
  }
  if (form.role === "vdi") {
    return form.populateNow ? "linked clone, made at once" : "none until you populate it";
  }
  if (form.disk === "blank") return `${form.diskGiB} GiB, empty${form.iso ? "; installed from the ISO" : ""}`;
  if (form.disk === "import") return form.importPath.split("/").at(-1) || "an image, not chosen yet";
  return "stays with the domain";
}
