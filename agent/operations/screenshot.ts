import { join } from "node:path";
import { AppError } from "../../contracts/errors.ts";
import type { AgentConfig } from "../config.ts";
import type { Host } from "../host.ts";
import { removeIfPresent } from "../images/files.ts";
import { encodePng, isPng, parsePpm } from "./png.ts";

const prefix = "screenshot-";

/** Removes the pictures that an agent left when it was killed. */
export async function sweepScreenshots({ stateDir }: Pick<AgentConfig, "stateDir">): Promise<void> {
  for await (const { name } of Deno.readDir(stateDir)) {
    if (name.startsWith(prefix)) await removeIfPresent(join(stateDir, name));
  }
}

/**
 * The machine's screen as PNG.
 * @throws {AppError} `conflict` when it does not run.
 */
export async function takeScreenshot(
  host: Host,
  id: string,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const domain = host.domains.get(id);
  if (!domain) throw new AppError("not_found", `There is no domain ${id} on this hypervisor.`);
  if (domain.state !== "running" && domain.state !== "paused") {
    throw new AppError("conflict", `Take a picture of the screen of ${domain.name}: it is ${domain.state}.`);
  }
  const path = join(host.config.stateDir, `${prefix}${crypto.randomUUID()}`);
  try {
    await host.virsh.screenshot(id, path, { signal });
    const picture = await Deno.readFile(path);
    return isPng(picture) ? picture : await encodePng(parsePpm(picture));
  } finally {
    await removeIfPresent(path);
  }
}
