import type { z } from "zod";
import { Settings, type UpdateSettings } from "../../contracts/settings.ts";
import type { Actor, App } from "../app.ts";
import { audit } from "../audit/service.ts";
import type { Db } from "../db/schema.ts";
import { deleteSetting, readSettings, writeSetting } from "./store.ts";

/** Prefix of what admins can change; the other keys are the dashboard's own. */
const prefix = "settings.";

/** The settings in memory; the table holds only what differs from the defaults or was ever changed. */
export class SettingsCache {
  #current: Settings;
  private constructor(current: Settings) {
    this.#current = current;
  }

  static async load(db: Db): Promise<SettingsCache> {
    const stored = Object.entries(await readSettings(db))
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), JSON.parse(value)]);
    return new SettingsCache(Settings.parse(Object.fromEntries(stored)));
  }

  current(): Readonly<Settings> {
    return this.#current;
  }

  /** Writes the fields that are set. */
  async change(db: Db, changes: z.output<typeof UpdateSettings>): Promise<Readonly<Settings>> {
    const next = Settings.parse({ ...this.#current, ...changes });
    await db.transaction().execute(async (trx) => {
      for (const [key, value] of Object.entries(changes)) {
        await writeSetting(trx, prefix + key, JSON.stringify(value));
      }
    });
    this.#current = next;
    return next;
  }
}

/** Changes settings on behalf of an admin. */
export async function updateSettings(app: App, changes: z.output<typeof UpdateSettings>, actor: Actor) {
  const settings = await app.settings.change(app.db, changes);
  app.bus.publish({ type: "settings" });
  await audit(app, { actor, action: "settings.update", detail: JSON.stringify(changes) });
  return settings;
}

/** A value that the dashboard keeps for itself, such as the hash of the setup link. */
export async function readOwnValue(db: Db, key: string): Promise<string | null> {
  return (await readSettings(db))[`internal.${key}`] ?? null;
}
export const writeOwnValue = (db: Db, key: string, value: string) =>
  writeSetting(db, `internal.${key}`, value);
export const deleteOwnValue = (db: Db, key: string) => deleteSetting(db, `internal.${key}`);
