/** The executable that hypervisors get from this dashboard: its own. */
import { AppError } from "../../contracts/errors.ts";
import { sha256Of } from "../../lib/executable_file.ts";
import { run } from "../../lib/process.ts";
import { isPacked, readCommit, version } from "../../lib/version.ts";

export interface OwnExecutable {
  path: string;
  sha256: string;
  bytes: number;
  version: string;
  commit: string;
}

/** For a dashboard that runs from its sources, as tests do. */
const variable = "KVM_VDI_EXECUTABLE";
let known: OwnExecutable | undefined;

/** @throws {AppError} `conflict` when this dashboard runs from its sources. */
export function requireOwnExecutable(): void {
  if (isPacked || Deno.env.get(variable)) return;
  throw new AppError(
    "conflict",
    "This dashboard runs from its sources and has no executable to install elsewhere. Make one with scripts/compile and " +
      `start that, or name it with ${variable}.`,
  );
}

/** @throws {AppError} `conflict` when this dashboard runs from its sources. */
export async function ownExecutable(): Promise<OwnExecutable> {
  requireOwnExecutable();
  // What runs now, whatever lies at its path since an update of this host.
  const path = isPacked ? "/proc/self/exe" : Deno.env.get(variable)!;
  if (known?.path === path) return known;
  const sha256 = await sha256Of(path);
  if (sha256 === null) throw new AppError("conflict", `There is no executable at ${path} (${variable}).`);
  const { size: bytes } = await Deno.stat(path);
  return known = { path, sha256, bytes, ...isPacked ? await describeSelf() : await describe(path) };
}

const describeSelf = async () => ({ version, commit: await readCommit() });

async function describe(path: string): Promise<{ version: string; commit: string }> {
  const { stdout } = await run([path, "version"], { cwd: "/" });
  const [, version = "", commit = ""] = /^kvm-vdi (\S+)\ncommit +(\S+)$/m.exec(stdout) ?? [];
  return { version, commit };
}
