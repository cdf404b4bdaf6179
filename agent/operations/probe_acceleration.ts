import { join } from "node:path";
import { z } from "zod";
import type { HostFacts } from "../../contracts/hypervisor.ts";
import { ProcessError, run } from "../../lib/process.ts";

export type KvmFacts = HostFacts["kvm"];

const exitPort = 0xf4;
const token = 0x2a;

/** mov al, token; out exitPort, al; hlt: a boot sector that ends QEMU with a code that only running it can give. */
function makeBootSector(): Uint8Array {
  const sector = new Uint8Array(512);
  sector.set([0xb0, token, 0xe6, exitPort, 0xf4, 0xeb, 0xfd]);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** isa-debug-exit turns a written value into this exit code. */
const provenExitCode = (token << 1) | 1;

/**
 * Finds out whether KVM really runs guests, by booting one: /dev/kvm may exist and its guests hang or crash.
 * Takes about 0.3 s where it works and `timeoutMs` where guests hang.
 */
export async function probeKvm(
  { device = "/dev/kvm", accelerator = "kvm", timeoutMs = 4_000, signal }: {
    device?: string;
    accelerator?: string;
    timeoutMs?: number;
    signal?: AbortSignal;
  } = {},
): Promise<KvmFacts> {
  if (!await exists(device)) {
    return {
      state: "absent",
      detail: `${device} does not exist: no virtualization, or its module is not loaded.`,
    };
  }
  const disk = await Deno.makeTempFile({ prefix: "kvm-vdi-probe-" });
  try {
    await Deno.writeFile(disk, makeBootSector());
    await run(probeCommand(disk, accelerator), { timeoutMs, signal });
    return { state: "broken", detail: "The probe guest ended without having run." };
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    if (error.code === provenExitCode) return { state: "works", detail: "A probe guest ran." };
    const hung = error.code === null && error.message.includes("took longer");
    const why = hung ? `it hung for ${timeoutMs / 1000} s` : lastLine(error.stderr) || error.message;
    return { state: "broken", detail: `${device} exists, but a probe guest did not run: ${why}.` };
  } finally {
    await Deno.remove(disk);
  }
}

/** Like `probeKvm`, once per boot of the host: the answer is kept in the state directory. */
export async function probeKvmOncePerBoot(stateDir: string, signal?: AbortSignal): Promise<KvmFacts> {
  const path = join(stateDir, "kvm-probe.json");
  const bootId = (await Deno.readTextFile("/proc/sys/kernel/random/boot_id")).trim();
  const kept = await readKept(path);
  if (kept?.bootId === bootId) return kept.kvm;
  const kvm = await probeKvm({ signal });
  await Deno.writeTextFile(path, JSON.stringify({ bootId, kvm }));
  return kvm;
}

const Kept = z.object({
  bootId: z.string(),
  kvm: z.object({ state: z.enum(["works", "broken", "absent"]), detail: z.string() }),
});

async function readKept(path: string): Promise<z.infer<typeof Kept> | undefined> {
  try {
    return Kept.safeParse(JSON.parse(await Deno.readTextFile(path))).data;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const probeCommand = (disk: string, accelerator: string) => [
  "qemu-system-x86_64",
  ...["-accel", accelerator, "-machine", "pc", "-m", "16", "-nodefaults", "-no-user-config", "-no-reboot"],
  ...["-display", "none", "-device", `isa-debug-exit,iobase=${exitPort},iosize=1`],
  ...["-drive", `file=${disk},format=raw,if=ide,snapshot=on`],
];

const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "";

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
