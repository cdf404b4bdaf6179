/** The packed executable, and ones that differ from it. */
import { Buffer } from "node:buffer";
import { run } from "../../lib/process.ts";
import { executable } from "./stand.ts";

/** dist/kvm-vdi, unless another is asked for. */
export const packedExecutable = Deno.env.get("KVM_VDI_TEST_EXECUTABLE") ?? executable;

/** What an executable says about itself. */
export async function commitOf(path: string): Promise<string> {
  const { stdout } = await run([path, "version"], { cwd: "/" });
  return /^commit +(\S+)$/m.exec(stdout)![1]!;
}

/**
 * Makes the same program of another commit, within a moment: the commit is in there as plain text. `mark` is the character
 * it consists of. Returns the new commit.
 */
export async function makeOtherExecutable(path: string, mark: string): Promise<string> {
  const from = await commitOf(packedExecutable);
  const to = mark.repeat(from.length);
  const bytes = Buffer.from(await Deno.readFile(packedExecutable));
  let count = 0;
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1), count++) bytes.write(to, at);
  if (count === 0) throw new Error(`${packedExecutable} does not hold its commit ${from}`);
  await Deno.writeFile(path, bytes, { mode: 0o755 });
  return to;
}
