import type { AuditEntry } from "../../contracts/settings.ts";
import type { Actor, App } from "../app.ts";
import { insertAudit } from "./store.ts";

export interface AuditEvent {
  /** Who did it; null: the dashboard itself. A name is enough where nobody is signed in yet. */
  actor: Pick<Actor, "username" | "address"> | null;
  /** `noun.verb`, as `machine.delete`. */
  action: string;
  subjectId?: string | null;
  subjectName?: string | null;
  outcome?: AuditEntry["outcome"];
  /** What was done exactly, for people. Never a secret. */
  detail?: string | null;
}

/** Notes who did what. Call it after the change was committed, outside any transaction. */
export async function audit(app: Pick<App, "db" | "bus" | "now">, event: AuditEvent): Promise<void> {
  const id = await insertAudit(app.db, {
    at: app.now(),
    actor: event.actor?.username ?? null,
    address: event.actor?.address ?? null,
    action: event.action,
    subjectId: event.subjectId ?? null,
    subjectName: event.subjectName ?? null,
    outcome: event.outcome ?? "ok",
    detail: event.detail ?? null,
  });
  app.bus.publish({ type: "audit", id });
}
