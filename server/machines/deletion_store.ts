/** Where the versions of an initial lie. */
import type { Db, ImageCopyRow } from "../db/schema.ts";

export function findCopiesOfInitial(db: Db, initialId: string): Promise<ImageCopyRow[]> {
  return db.selectFrom("image_copies as copy")
    .innerJoin("image_versions as version", "version.id", "copy.version_id")
    .selectAll("copy").where("version.initial_id", "=", initialId).execute();
}
