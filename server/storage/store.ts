/** What the tables know about files on a hypervisor. */
import type { DataDiskRow, Db, ImageCopyRow, UploadRow } from "../db/schema.ts";

export interface KnownCopy extends ImageCopyRow {
  number: number;
  initial_id: string;
  initial_name: string;
  /** What populate uses now. */
  current: boolean;
}
export interface KnownMachine {
  id: string;
  name: string;
  hypervisor_id: string;
}
export interface KnownFiles {
  copies: KnownCopy[];
  machines: KnownMachine[];
  dataDisks: DataDiskRow[];
  uploads: UploadRow[];
  /**
   * Paths that matter on other hypervisors, with the names of these. On shared storage they are the same files, and
   * this hypervisor's libvirt knows nothing of who uses them.
   */
  elsewhere: ReadonlyMap<string, string>;
}

export async function findKnownFiles(db: Db, hypervisorId: string): Promise<KnownFiles> {
  const copies = await db.selectFrom("image_copies as copy")
    .innerJoin("image_versions as version", "version.id", "copy.version_id")
    .innerJoin("machines as initial", "initial.id", "version.initial_id")
    .selectAll("copy")
    .select(["version.number", "initial.id as initial_id", "initial.name as initial_name"])
    .select("initial.current_version_id")
    .where("copy.hypervisor_id", "=", hypervisorId).execute();
  const [machines, dataDisks, uploads] = await Promise.all([
    db.selectFrom("machines").select(["id", "name", "hypervisor_id"]).execute(),
    db.selectFrom("data_disks").selectAll().where("hypervisor_id", "=", hypervisorId).execute(),
    db.selectFrom("uploads").selectAll().where("hypervisor_id", "=", hypervisorId)
      .where("state", "=", "receiving").execute(),
  ]);
  return {
    elsewhere: await findPathsElsewhere(db, hypervisorId),
    copies: copies.map(({ current_version_id, ...copy }) => ({
      ...copy,
      current: copy.version_id === current_version_id,
    })),
    machines,
    dataDisks,
    uploads,
  };
}

async function findPathsElsewhere(db: Db, hypervisorId: string): Promise<Map<string, string>> {
  const [hypervisors, machines, copies, dataDisks] = await Promise.all([
    db.selectFrom("hypervisors").select(["id", "name"]).execute(),
    db.selectFrom("machines").select(["hypervisor_id", "disk_path", "base_path", "iso"])
      .where("hypervisor_id", "!=", hypervisorId).execute(),
    db.selectFrom("image_copies").select(["hypervisor_id", "path"])
      .where("hypervisor_id", "!=", hypervisorId).execute(),
    db.selectFrom("data_disks").select(["hypervisor_id", "path"])
      .where("hypervisor_id", "!=", hypervisorId).execute(),
  ]);
  const names = new Map(hypervisors.map(({ id, name }) => [id, name]));
  const paths = new Map<string, string>();
  const note = (path: string | null, owner: string) => path !== null && paths.set(path, names.get(owner)!);
  for (const { hypervisor_id, disk_path, base_path, iso } of machines) {
    for (const path of [disk_path, base_path, iso]) note(path, hypervisor_id);
  }
  for (const { hypervisor_id, path } of [...copies, ...dataDisks]) note(path, hypervisor_id);
  return paths;
}
