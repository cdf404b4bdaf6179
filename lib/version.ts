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

/** The argv that starts this same program with other arguments, from the executable or from the sources. */
export function selfCommand(args: readonly string[]): string[] {
  if (isPacked) return [Deno.execPath(), ...args];
  const main = new URL("../main.ts", import.meta.url).pathname;
  return [Deno.execPath(), "run", "-A", "-q", "--no-prompt", main, ...args];
}
