/** What the creation page and the edit dialog of a machine share. */
import type { ImageFile } from "../../../contracts/hypervisor.ts";
import { call } from "../../api.ts";
import { formatBytes } from "../../format.ts";
import { useEvents, useLoad } from "../../stores/load.ts";
import { hypervisors } from "../../stores/places.ts";

interface Option {
  value: string;
  label: string;
}

/** ISO and disk images on a hypervisor; empty until they are known. */
export function useImageFiles(hypervisorId: string): ImageFile[] {
  const loaded = useLoad(hypervisorId, async (signal) => {
    if (!hypervisorId) return [];
    return (await call("listImageFiles", { params: { id: hypervisorId }, signal })).items;
  });
  useEvents((event) => {
    if (
      event.type === "upload" && event.upload.hypervisorId === hypervisorId && event.upload.state === "done"
    ) {
      loaded.reload();
    }
  });
  return loaded.value ?? [];
}

const withCurrent = (options: Option[], current: string) =>
  current === "" || options.some((option) => option.value === current)
    ? options
    : [...options, { value: current, label: current }];

/** Networks and bridges of a hypervisor, in the API's words. */
export function networkOptions(hypervisorId: string, current: string): Option[] {
  const facts = hypervisors.value.find((one) => one.id === hypervisorId)?.facts;
  const options = (facts?.networks ?? []).map(({ name, kind, active }) => ({
    value: kind === "bridge" ? `bridge:${name}` : name,
    label: `${name} (${kind}${active ? "" : ", not active"})`,
  }));
  return withCurrent([...options, { value: "none", label: "No network" }], current);
}

export function isoOptions(files: ImageFile[], current: string): Option[] {
  const options = files.filter((file) => file.kind === "iso").map(fileOption);
  return withCurrent([{ value: "", label: "None" }, ...options], current);
}

export const fileOption = (file: ImageFile): Option => ({
  value: file.path,
  label: file.kind === "iso"
    ? `${file.name} (${formatBytes(file.bytes)})`
    : `${file.name} (${file.format}, ${formatBytes(file.virtualBytes)})`,
});
