import type { Hypervisor } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { freeBytesOf, HypervisorChoice } from "../../components/hypervisor_choice.tsx";
import { formatBytes, formatMiB, plural } from "../../format.ts";
import { useLoad } from "../../stores/load.ts";
import { hypervisors } from "../../stores/places.ts";
import { currentOf } from "./image_words.ts";
import { type NewMachine, placesOf } from "./new_machine.ts";
import { previewSpread, roomMiB } from "./spread_preview.ts";

interface Props {
  form: NewMachine;
  set: (patch: Partial<NewMachine>) => void;
  errors: Record<string, string>;
}

/** Where new desktops go: one hypervisor or several, with how they will be spread. */
export function PlacesField({ form, set, errors }: Props) {
  const image = useLoad(
    `image ${form.sourceId}`,
    async (signal) =>
      form.sourceId ? (await call("getImage", { params: { id: form.sourceId }, signal })).image : undefined,
  );
  const current = image.value && currentOf(image.value);
  const has = new Set(
    current?.copies.filter((one) => one.state === "present").map((one) => one.hypervisorId),
  );
  const describe = (hypervisor: Hypervisor) => {
    if (hypervisor.state === "offline") return "offline";
    const words = [
      `${formatMiB(roomMiB(hypervisor))} of memory and ${formatBytes(freeBytesOf(hypervisor))} free`,
      hypervisor.maintenance ? "in maintenance" : "",
      current && !has.has(hypervisor.id) ? `version ${current.number} is copied there first` : "",
    ];
    return words.filter(Boolean).join("; ");
  };
  return (
    <HypervisorChoice
      id="places"
      label="Hypervisors"
      chosen={placesOf(form)}
      onChange={(hypervisorIds) => set({ hypervisorIds })}
      describe={describe}
      help={spreadText(form)}
      error={errors.hypervisorIds}
    />
  );
}

/** "About 6 on hv-1 and 4 on hv-2". */
export function spreadText(form: NewMachine): string {
  const places = placesOf(form);
  const chosen = hypervisors.value.filter((one) => places.includes(one.id));
  const count = Math.max(1, Number(form.count) || 1);
  if (chosen.length < 2) return "Choose several to spread the desktops over them";
  const shares = previewSpread(chosen, count, Number(form.memoryMiB) || 1024);
  const words = shares.map((one) => `${one.count} on ${one.hypervisor.name}`);
  return `${plural(count, "desktop")}, by free capacity: about ${words.slice(0, -1).join(", ")} and ${
    words.at(-1)
  }`;
}
