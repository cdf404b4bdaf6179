import { dirname } from "node:path";
import { run } from "./process.ts";

/** What scripts/bundle_app.ts writes into the bundle; absent when the program runs from its sources. */
declare const __KVM_VDI_COMMIT__: string | undefined;

const bakedCommit = typeof __KVM_VDI_COMMIT__ === "string" ? __KVM_VDI_COMMIT__ : undefined;

/** True inside the executable, false when running from the source tree. */
export const isPacked = bakedCommit !== undefined;

export const version = "0.1.0";

/** The runtime inside the executable, e.g. `Deno 2.9.6 (x86_64-unknown-linux-gnu)`. */
export const runtime = `Deno ${Deno.version.deno} (${Deno.build.target})`;

/** The commit this program was built from; from the sources, the one checked out, or `unknown` without git. */
export async function readCommit(): Promise<string> {
  if (bakedCommit !== undefined) return bakedCommit;
  try {
    const { stdout } = await run(["git", "rev-parse", "--short=12", "HEAD"], { cwd: import.meta.dirname });
    return stdout.trim();
  } catch {
    return "unknown";
  }
}

/**
 * The argv that starts this same program with other arguments, from the executable or from the sources. Not for
 * `diesWithParent`, which puts another program in between.
 */
export function selfCommand(args: readonly string[]): string[] {
  if (isPacked) return [canOthersReach(Deno.execPath()) ? Deno.execPath() : "/proc/self/exe", ...args];
  const main = new URL("../main.ts", import.meta.url).pathname;
  return [Deno.execPath(), "run", "-A", "-q", "--no-prompt", "--unstable-no-legacy-abort", main, ...args];
}

/**
 * Whether any user can run what is at this path. An executable below /root cannot be started by the user that the
 * dashboard becomes, but the kernel's own link to what runs now needs no way there.
 */
function canOthersReach(path: string): boolean {
  for (let current = path;; current = dirname(current)) {
    if (((Deno.statSync(current).mode ?? 0) & 0o001) === 0) return false;
    if (current === "/") return true;
  }
}
