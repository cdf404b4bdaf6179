import type { z } from "zod";
import type { AuditEntry, AuditQuery } from "../../contracts/settings.ts";
import type { Page } from "../../contracts/common.ts";
import { escapeLike } from "../db/open.ts";
import { cursorPage } from "../db/page.ts";
import type { Db } from "../db/schema.ts";
import { sql } from "kysely";

export async function insertAudit(db: Db, entry: Omit<AuditEntry, "id">): Promise<number> {
  const { id } = await db.insertInto("audit").values({
    at: entry.at,
    actor: entry.actor,
    address: entry.address,
    action: entry.action,
    subject_id: entry.subjectId,
    subject_name: entry.subjectName,
    outcome: entry.outcome,
    detail: entry.detail,
  }).returning("id").executeTakeFirstOrThrow();
  return id;
}

/** Newest first. */
export async function listAudit(db: Db, query: z.output<typeof AuditQuery>): Promise<Page<AuditEntry>> {
  const pattern = query.q ? `%${escapeLike(query.q)}%` : undefined;
  const matching = db.selectFrom("audit")
    .$if(query.actor !== undefined, (audit) => audit.where("actor", "=", query.actor!))
    .$if(query.action !== undefined, (audit) => audit.where("action", "=", query.action!))
    .$if(query.subjectId !== undefined, (audit) => audit.where("subject_id", "=", query.subjectId!))
    .$if(query.outcome !== undefined, (audit) => audit.where("outcome", "=", query.outcome!))
    .$if(pattern !== undefined, (audit) =>
      audit.where((where) =>
        where.or(
          (["actor", "action", "subject_name", "detail"] as const).map((column) =>
            sql<boolean>`${sql.ref(column)} LIKE ${pattern} ESCAPE '\\'`
          ),
        )
      ));
  const total = await matching.select(({ fn }) => fn.countAll<number>().as("total"))
    .executeTakeFirstOrThrow();
  const before = query.cursor === undefined ? undefined : Number(query.cursor);
  const rows = await matching.selectAll().orderBy("id", "desc")
    .$if(before !== undefined && Number.isSafeInteger(before), (audit) => audit.where("id", "<", before!))
    .limit(query.limit + 1).$if(
      query.offset !== undefined && before === undefined,
      (audit) => audit.offset(query.offset!),
    )
    .execute();
  const items = rows.map((row): AuditEntry => ({
    id: row.id,
    at: row.at,
    actor: row.actor,
    address: row.address,
    action: row.action,
    subjectId: row.subject_id,
    subjectName: row.subject_name,
    outcome: row.outcome,
    detail: row.detail,
  }));
  return cursorPage(items, query.limit, total.total, (last) => String(last.id));
}
