import { Checkbox } from "@patternfly/react-core";
import type { ReactNode } from "react";
import type { Hypervisor } from "../../contracts/hypervisor.ts";
import { formatBytes } from "../format.ts";
import { hypervisors } from "../stores/places.ts";
import { Field } from "./field.tsx";

interface Props {
  id: string;
  label: string;
  help?: ReactNode;
  error?: string | undefined;
  chosen: string[];
  onChange: (ids: string[]) => void;
  /** Hypervisors that can't be taken off the list, with the reason. */
  fixed?: Record<string, string>;
  describe?: (hypervisor: Hypervisor) => string;
}

/** Free space where images lie; null while it is unknown. */
export const freeBytesOf = ({ load, facts }: Hypervisor): number | null =>
  (load?.storage ?? facts?.storage)?.find((one) => one.kind === "images")?.freeBytes ?? null;

/** One or several hypervisors, each with its free space. Those that are offline can't be chosen. */
export function HypervisorChoice({ id, label, help, error, chosen, onChange, fixed = {}, describe }: Props) {
  const toggle = (hypervisorId: string, on: boolean) =>
    onChange(on ? [...chosen, hypervisorId] : chosen.filter((one) => one !== hypervisorId));
  return (
    <Field id={id} label={label} help={help} error={error}>
      <div className="kv-choices" role="group" aria-label={label}>
        {hypervisors.value.map((one) => (
          <Checkbox
            key={one.id}
            id={`${id}-${one.id}`}
            label={one.name}
            description={fixed[one.id] ?? describe?.(one) ?? freeText(one)}
            isChecked={one.id in fixed || chosen.includes(one.id)}
            isDisabled={one.id in fixed || one.state === "offline"}
            onChange={(_, on) => toggle(one.id, on)}
          />
        ))}
      </div>
    </Field>
  );
}

function freeText(hypervisor: Hypervisor): string {
  if (hypervisor.state === "offline") return "offline";
  const words = [
    hypervisor.maintenance ? "in maintenance" : "",
    freeBytesOf(hypervisor) === null ? "" : `${formatBytes(freeBytesOf(hypervisor))} free`,
  ];
  return words.filter(Boolean).join(", ");
}
