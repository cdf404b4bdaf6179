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
    copies: copies.map(({ current_version_id, ...copy }) => ({
      ...copy,
      current: copy.version_id === current_version_id,
    })),
    machines,
    dataDisks,
    uploads,
  };
}
