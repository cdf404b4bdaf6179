import { sql } from "kysely";
import type { Db } from "./schema.ts";

/** Whether the database answers a query. */
export async function isAnswering(db: Db): Promise<boolean> {
  try {
    await sql`SELECT 1`.execute(db);
    return true;
  } catch {
    return false;
  }
}
