import { join } from "node:path";
import type { Domain } from "../../contracts/agent.ts";
import type { MachineState } from "../../contracts/machine.ts";
import type { Host } from "../host.ts";
import { fileKey, statIfPresent } from "./files.ts";
import { type Link, walkChain } from "./links.ts";

/** A domain, or a stray image file, that depends on an image file. */
export interface Holder {
  /** Null for an image file in the image directory that belongs to no domain. */
  id: string | null;
  /** The domain's name, or the stray file's path. */
  name: string;
  state: MachineState;
  /** `disk`: its own disk, which it writes to; `backing`: an image below that; `medium`: in its CD drive. */
  as: "disk" | "backing" | "medium";
  /** It runs and writes to the file now. A virtual snapshot writes to its scratch image instead. */
  writes: boolean;
}

/** Who uses which image file, at the moment it was read. */
export interface Uses {
  of(path: string): Promise<Holder[]>;
}

const off = (state: MachineState) => state === "shut-off" || state === "crashed";

/** Follows the disks of every domain, managed or not, and of every stray overlay in the image directory. */
export async function readUses(host: Host): Promise<Uses> {
  const holders = new Map<string, Holder[]>();
  const keys = new Map<string, Promise<string>>();
  const keyOf = (path: string) => keys.getOrInsertComputed(path, () => fileKey(path));
  const add = async (path: string, holder: Holder) => {
    const key = await keyOf(path);
    holders.set(key, [...holders.get(key) ?? [], holder]);
  };
  // Hundreds of clones share one base.
  const chains = new Map<string, Promise<Link[]>>();
  const chainBelow = (path: string) => chains.getOrInsertComputed(path, () => walkChain(path, null));
  for (const domain of host.domains.all()) await addDomain(domain, add, chainBelow);
  const stray = { id: null, state: "shut-off", writes: false } as const;
  for (const path of (await Promise.all(host.imageDirs().map(listOverlayFiles))).flat()) {
    if (holders.has(await keyOf(path))) continue;
    const [, ...below] = await walkChain(path, "qcow2");
    for (const link of below) await add(link.path, { ...stray, name: path, as: "backing" });
  }
  return { of: async (path) => holders.get(await keyOf(path)) ?? [] };
}

async function addDomain(
  domain: Domain,
  add: (path: string, holder: Holder) => Promise<void>,
  chainBelow: (path: string) => Promise<Link[]>,
): Promise<void> {
  const { id, name, state } = domain;
  for (const { path, device, backingPath } of domain.disks) {
    if (path === null) continue;
    const writes = device === "disk" && !off(state) && !domain.virtualSnapshot;
    await add(path, { id, name, state, as: device === "disk" ? "disk" : "medium", writes });
    const below = backingPath === null ? [] : await chainBelow(backingPath);
    for (const link of below) await add(link.path, { id, name, state, as: "backing", writes: false });
  }
}

async function listOverlayFiles(imageDir: string): Promise<string[]> {
  const paths: string[] = [];
  if (!await statIfPresent(imageDir)) return paths;
  for await (const entry of Deno.readDir(imageDir)) {
    if (entry.isFile && entry.name.endsWith(".qcow2")) paths.push(join(imageDir, entry.name));
  }
  return paths;
}

/** "desk-1, desk-2 and 4 more": enough to know where to look. */
export function listNames(names: readonly string[]): string {
  const shown = [...new Set(names)];
  const rest = shown.length - 5;
  return rest > 0 ? `${shown.slice(0, 5).join(", ")} and ${rest} more` : shown.join(", ");
}
