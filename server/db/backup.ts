import { backup, type DatabaseSync } from "node:sqlite";

const kept = 7;
const dayMs = 86_400_000;

/** Where a copy of the database goes: by what made it, and when. */
export const backupPath = (folder: string, reason: string, now: number) =>
  `${folder}/kvm-vdi-${reason}-${new Date(now).toISOString().slice(0, 19).replaceAll(":", "")}.db`;

/**
 * Copies the running database to `folder`, unless the last daily copy is younger than a day, and removes all but the
 * newest seven of those. Copies made before a migration stay.
 */
export async function backupDaily(sqlite: DatabaseSync, folder: string, now: number): Promise<string | null> {
  const old = await dailyBackups(folder);
  const newest = old.at(-1);
  if (newest !== undefined && now - await modifiedAt(newest) < dayMs) return null;
  const path = backupPath(folder, "daily", now);
  // A copy that was interrupted must not look like one that is whole.
  await backup(sqlite, `${path}.partial`);
  await Deno.rename(`${path}.partial`, path);
  for (const surplus of [...old, path].slice(0, -kept)) await Deno.remove(surplus);
  return path;
}

async function modifiedAt(path: string): Promise<number> {
  return (await Deno.stat(path)).mtime?.getTime() ?? 0;
}

/** Oldest first; their names sort by time. */
async function dailyBackups(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.map(({ name }) => name).filter((name) => /^kvm-vdi-daily-.*\.db$/.test(name)).sort()
    .map((name) => `${folder}/${name}`);
}
