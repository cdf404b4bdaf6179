import type { Db } from "../db/schema.ts";

/** Ids of the machines that are clones of the same image as this one. */
export async function readClones(db: Db, machineId: string): Promise<string[]> {
  const rows = await db.selectFrom("machines as machine")
    .innerJoin("machines as clone", "clone.source_id", "machine.source_id")
    .where("machine.id", "=", machineId).select("clone.id").execute();
  return rows.map(({ id }) => id);
}
