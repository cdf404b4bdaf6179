/** What images learn from the agents: drafts that are customised, copies that have gone. */
import type { Domain } from "../../contracts/agent.ts";
import type { App } from "../app.ts";
import { findMachineRows } from "../machines/service.ts";
import { verifyCopies } from "./distribute.ts";
import { tellImage } from "./versions.ts";
import * as store from "./versions_store.ts";

/** Follows the agents from now on; returns the function that ends it and waits for the last write. */
export function followImages(app: App): () => Promise<void> {
  const work = new Set<Promise<unknown>>();
  const background = (done: Promise<unknown>, what: string) => {
    const tracked = done
      .catch((error) => {
        if (!app.signal.aborted) app.log.warn({ err: error }, what);
      })
      .finally(() => work.delete(tracked));
    work.add(tracked);
  };
  const unlisten = app.agents.listen((change) => {
    if (change.type === "jobs") {
      background(verifyCopies(app, change.hypervisorId), "the copies of images could not be looked at");
    }
    if (change.type !== "domains") return;
    const initials = change.ids.flatMap((id) => app.agents.domain(id, change.hypervisorId)?.domain ?? [])
      .filter(({ role, managed }) => managed && role === "initial");
    for (const domain of initials) background(noteInitial(app, domain), "an initial's start was not noted");
  });
  return async () => {
    unlisten();
    await Promise.allSettled([...work]);
  };
}

/** A draft that its initial was started with counts as customised. */
async function noteInitial(app: App, { id, state, virtualSnapshot }: Domain): Promise<void> {
  const [row] = await findMachineRows(app, [id]);
  const version = row?.version_id ? await store.findVersion(app.db, row.version_id) : null;
  if (version?.state === "draft" && version.booted === 0 && state === "running" && !virtualSnapshot) {
    await store.updateVersionRow(app.db, version.id, { booted: 1 });
  }
  if (row) tellImage(app, id);
}
