/** The creation form's state, and the request it makes. */
import { CreateMachine, type Machine, type OsType, Role } from "../../../contracts/machine.ts";
import type { z } from "zod";

export type DiskChoice = "blank" | "import" | "domain";

/** As typed; numbers stay text until the request is made. */
export interface NewMachine {
  role: Role;
  hypervisorId: string;
  /** Of desktops: where they are spread; null: where the initial is. */
  hypervisorIds: string[] | null;
  sourceId: string;
  name: string;
  count: string;
  disk: DiskChoice;
  diskGiB: string;
  importPath: string;
  domainId: string;
  iso: string;
  osType: OsType;
  vcpus: string;
  memoryMiB: string;
  network: string;
  video: "qxl" | "virtio";
  virtualSnapshot: boolean;
  maintenance: boolean;
  copyNow: boolean;
  populateNow: boolean;
  notes: string;
}

export const hasOwnDisk = (role: Role) => role === "simple" || role === "source";

/** Where desktops will be. */
export const placesOf = ({ hypervisorIds, hypervisorId }: NewMachine) =>
  hypervisorIds ?? (hypervisorId ? [hypervisorId] : []);

/** The form as it opens; the address may preset role and source. */
export function newMachine(query: URLSearchParams): NewMachine {
  return {
    role: Role.safeParse(query.get("role")).data ?? "source",
    hypervisorId: query.get("hypervisorId") ?? "",
    hypervisorIds: null,
    sourceId: query.get("sourceId") ?? "",
    name: "",
    count: "1",
    disk: "blank",
    diskGiB: "40",
    importPath: "",
    domainId: "",
    iso: "",
    osType: "linux",
    vcpus: "2",
    memoryMiB: "4096",
    network: "",
    video: "qxl",
    virtualSnapshot: false,
    maintenance: false,
    copyNow: true,
    populateNow: true,
    notes: "",
  };
}

/** What a machine takes over from the source or initial that was chosen for it. */
export function fromParent(parent: Machine, role: Role): Partial<NewMachine> {
  const base = parent.name.replace(/-source$/, "");
  return {
    osType: parent.osType,
    vcpus: String(parent.vcpus),
    memoryMiB: String(parent.memoryMiB),
    network: parent.network,
    video: parent.video,
    hypervisorId: parent.hypervisorId,
    hypervisorIds: null,
    name: role === "vdi" ? `${base}-{nn}` : `${base}-image`,
  };
}

function diskOf(form: NewMachine): z.input<typeof CreateMachine>["disk"] {
  switch (form.disk) {
    case "blank":
      return { kind: "blank", bytes: Math.round(Number(form.diskGiB) * 1024 ** 3) };
    case "import":
      return { kind: "import", path: form.importPath };
    case "domain":
      return { kind: "domain", domainId: form.domainId };
  }
}

function placeOf(form: NewMachine): Pick<CreateMachine, "hypervisorId" | "hypervisorIds"> {
  const places = form.role === "vdi" ? placesOf(form) : [form.hypervisorId];
  if (places.length > 1) return { hypervisorIds: places };
  return places[0] ? { hypervisorId: places[0] } : {};
}

/** The API's request for the form. */
export function requestOf(form: NewMachine): CreateMachine {
  const vdi = form.role === "vdi";
  return {
    name: form.name.trim(),
    role: form.role,
    count: vdi ? Number(form.count) : 1,
    osType: form.osType,
    vcpus: Number(form.vcpus),
    memoryMiB: Number(form.memoryMiB),
    video: form.video,
    notes: form.notes,
    maintenance: form.maintenance,
    ...placeOf(form),
    ...(form.network ? { network: form.network } : {}),
    ...(hasOwnDisk(form.role)
      ? { disk: diskOf(form), iso: form.iso || null }
      : { sourceId: form.sourceId || null }),
    ...(form.role === "initial" ? { copyDisk: form.copyNow } : {}),
    ...(vdi ? { populate: form.populateNow, virtualSnapshot: form.virtualSnapshot } : {}),
  };
}

/** What is wrong with the form before it is sent, by the API's names of the fields. */
export function problemsOf(form: NewMachine): Record<string, string> {
  const problems: Record<string, string> = {};
  const parsed = CreateMachine.safeParse(requestOf(form));
  for (const issue of parsed.error?.issues ?? []) problems[issue.path.join(".")] ??= issue.message;
  const name = form.name.trim().replace(/\{n+\}/g, "1");
  if (form.name.trim() === "") problems.name = "enter a name";
  else if (!/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(name)) {
    problems.name =
      "use letters, digits, dots, hyphens and underscores; start and end with a letter or digit";
  } else if (Number(form.count) > 1 && form.role === "vdi" && !/\{n+\}/.test(form.name)) {
    problems.name = "put {n} where the number goes, as lab-{n}";
  }
  if (form.role === "initial" && !form.sourceId) {
    problems.sourceId = "choose the source that it is copied from";
  }
  if (form.role === "vdi" && !form.sourceId) problems.sourceId = "choose the initial that it is a clone of";
  if (form.role === "vdi" && form.hypervisorIds?.length === 0) {
    problems.hypervisorIds = "choose at least one hypervisor";
  }
  if (hasOwnDisk(form.role) && form.disk === "import" && !form.importPath) {
    problems["disk.path"] = "choose an image";
  }
  if (hasOwnDisk(form.role) && form.disk === "domain" && !form.domainId) {
    problems["disk.domainId"] = "choose a domain";
  }
  return problems;
}
