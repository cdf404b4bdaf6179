/** Whose a file is, and in words whether it can go. */
import type { FileKind, StorageFile, StoredFile } from "../../contracts/storage.ts";
import type { KnownFiles, KnownMachine } from "./store.ts";

type Explained = Pick<StorageFile, "kind" | "ownerId" | "ownerName" | "removable" | "reason">;

/** What is known on this hypervisor, ready for looking up. */
export class Explainer {
  readonly #copies: Map<string, KnownFiles["copies"][number]>;
  readonly #dataDisks: Map<string, KnownFiles["dataDisks"][number]>;
  readonly #machines: Map<string, KnownMachine>;
  readonly #byShortId: Map<string, KnownMachine>;

  constructor(private readonly hypervisorId: string, private readonly known: KnownFiles) {
    this.#copies = new Map(known.copies.map((copy) => [copy.path, copy]));
    this.#dataDisks = new Map(known.dataDisks.map((disk) => [disk.path, disk]));
    this.#machines = new Map(known.machines.map((machine) => [machine.id, machine]));
    this.#byShortId = new Map(known.machines.map((machine) => [machine.id.slice(0, 8), machine]));
  }

  explain(file: StoredFile): StorageFile {
    return { ...file, ...this.#explain(file) };
  }

  #explain(file: StoredFile): Explained {
    const copy = this.#copies.get(file.path);
    if (copy) {
      const current = copy.current ? ", the current one" : "";
      return {
        ...owned("version", { id: copy.initial_id, name: copy.initial_name }),
        reason:
          `Version ${copy.number} of ${copy.initial_name}${current}. It is deleted on the image's page.`,
      };
    }
    switch (file.kind) {
      case "data":
        return this.#explainDataDisk(file);
      case "partial":
        return this.#explainPartial(file);
      case "scratch":
        return file.inUse
          ? {
            ...this.#used(file),
            reason: "Writes of a machine with a virtual snapshot; gone at its power off.",
          }
          : free("scratch", "Left by a virtual snapshot that has ended.");
      case "iso":
      case "import":
        if (file.inUse) return this.#used(file);
        if (this.known.elsewhere.has(file.path)) return this.#usedElsewhere(file);
        return free(
          file.kind,
          file.kind === "iso" ? "No machine has it in its CD drive." : "A disk image that no machine uses.",
        );
      case "version":
      case "overlay":
      case "disk":
      case "stray":
        if (file.inUse) return this.#used(file);
        return this.known.elsewhere.has(file.path) ? this.#usedElsewhere(file) : this.#explainUnused(file);
    }
  }

  #used(file: StoredFile): Explained {
    const users = file.domainIds.flatMap((id) => this.#machines.get(id) ?? []);
    const [first] = users;
    const names = users.slice(0, 3).map(({ name }) => name).join(", ") +
      (users.length > 3 ? ` and ${users.length - 3} more` : "");
    const strangers = file.domainIds.length > 0
      ? "a domain that KVM-VDI does not manage"
      : "a job or another file";
    return {
      ...owned(file.kind, users.length === 1 ? first! : this.#ownerByName(file) ?? null),
      reason: `${words[file.kind]}: in use by ${names || strangers}.`,
    };
  }

  #usedElsewhere(file: StoredFile): Explained {
    const name = this.known.elsewhere.get(file.path)!;
    return {
      ...owned(file.kind, this.#ownerByName(file) ?? null),
      reason:
        `${name} uses a file at this very path: on shared storage it is this one. If the two hosts share ` +
        "nothing, remove it on the host itself.",
    };
  }

  /** No domain uses it; a machine of the dashboard may miss it all the same. */
  #explainUnused(file: StoredFile): Explained {
    const machine = this.#ownerByName(file);
    if (!machine) return free(file.kind, "It belongs to no machine that is known.");
    if (machine.hypervisor_id === this.hypervisorId && file.version === null) {
      return {
        ...owned(file.kind, machine),
        reason:
          `It bears the name of ${machine.name}, which does not use it now. Delete or populate the machine.`,
      };
    }
    const why = machine.hypervisor_id === this.hypervisorId
      ? `A version of ${machine.name} that is not listed any more.`
      : `Left by ${machine.name}, which is on another hypervisor.`;
    return { ...free(file.kind, why), ownerId: machine.id, ownerName: machine.name };
  }

  #explainDataDisk(file: StoredFile): Explained {
    const disk = this.#dataDisks.get(file.path);
    if (!disk) {
      if (file.inUse) return this.#used(file);
      return this.known.elsewhere.has(file.path)
        ? this.#usedElsewhere(file)
        : free("data", "A personal data disk that belongs to nobody any more.");
    }
    const machine = this.#machines.get(disk.attached_to ?? disk.machine_id ?? "");
    return {
      ...owned("data", machine ?? null),
      reason: `Personal data disk of ${disk.owner_name}. It is deleted with the data disks.`,
    };
  }

  #explainPartial(file: StoredFile): Explained {
    const upload = this.known.uploads.find(({ id }) => file.path.includes(`/.upload-${id}.`));
    if (upload) {
      const by = `Upload of ${upload.file_name} by ${upload.started_by}`;
      return { ...owned("partial", null), reason: `${by}. Cancel the upload to remove it.` };
    }
    const machine = this.#ownerByName(file);
    if (file.inUse) return { ...owned("partial", machine ?? null), reason: "A job is working on it." };
    return free("partial", "A copy that was never finished.");
  }

  #ownerByName({ path }: StoredFile): KnownMachine | undefined {
    const shortId = /-([0-9a-f]{8})(?:\.v\d+)?\.qcow2(?:\.partial)?$/.exec(path)?.[1];
    return shortId === undefined ? undefined : this.#byShortId.get(shortId);
  }
}

const words: Record<FileKind, string> = {
  version: "Version of an image",
  overlay: "Overlay",
  disk: "Disk",
  data: "Personal data disk",
  iso: "ISO image",
  import: "Disk image",
  scratch: "Scratch file",
  partial: "Unfinished file",
  stray: "Stray file",
};

const owned = (kind: FileKind, owner: { id: string; name: string } | null) => ({
  kind,
  ownerId: owner?.id ?? null,
  ownerName: owner?.name ?? null,
  removable: false,
});

const free = (kind: FileKind, reason: string): Explained => ({
  kind,
  ownerId: null,
  ownerName: null,
  removable: true,
  reason,
});
