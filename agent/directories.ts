import { dirname } from "node:path";
import type { AgentConfig } from "./config.ts";

/**
 * Makes the agent's directories. QEMU runs as a user of its own and must get through to the images it opens, whose
 * ownership libvirt sees to; nobody needs to list them.
 */
export async function makeDirectories(config: AgentConfig): Promise<void> {
  await Deno.mkdir(config.stateDir, { recursive: true, mode: 0o755 });
  for (const path of [config.imageDir, config.isoDir, config.scratchDir]) {
    await Deno.mkdir(path, { recursive: true, mode: 0o711 });
  }
  await Deno.mkdir(dirname(config.socketPath), { recursive: true, mode: 0o755 });
}

/** Directories that other users (QEMU's among them) cannot get through to, from the root down; for a warning. */
export async function findClosedParents(path: string): Promise<string[]> {
  const closed: string[] = [];
  for (let current = path;; current = dirname(current)) {
    const { mode } = await Deno.stat(current);
    if (((mode ?? 0) & 0o001) === 0) closed.unshift(current);
    if (current === dirname(current)) return closed;
  }
}
