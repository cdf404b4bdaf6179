/**
 * Makes dist/kvm-vdi. With `deno compile` where a real denort is at hand (DENORT_BIN), otherwise with our ELF packer.
 * Does nothing when neither a source file, the toolchain nor the commit has changed since the last time.
 */
import * as esbuild from "esbuild";
import { run } from "../lib/process.ts";
import { bundleApp } from "./bundle_app.ts";
import { gzip, writeUi } from "./bundle_ui.ts";
import { packElf } from "./executable/pack_elf.ts";
import { appendParts } from "./executable/parts.ts";

const root = new URL("..", import.meta.url).pathname;
const executable = `${root}dist/kvm-vdi`;
const loader = `${root}scripts/executable/loader.js`;
const stampFile = `${root}dist/kvm-vdi.stamp`;

/** The executable needs neither configuration nor network, and reads no lock file or package of the folder it is in. */
const denoArguments = [
  "run",
  "--allow-all",
  "--quiet",
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--no-remote",
  "--cached-only",
  "--no-prompt",
  // A smaller nursery for young objects: the dashboard needs 8 MB less, and no slow-down was measurable.
  "--v8-flags=--max-semi-space-size=2",
  // A request's signal is for those who went away, not for those who got their answer.
  "--unstable-no-legacy-abort",
  "--ext=js",
];
const environment = {
  DENO_NO_UPDATE_CHECK: "1",
  DENO_NO_PACKAGE_JSON: "1",
  DENO_DISABLE_NODE_SHIM: "1",
};

/** Hash of everything that the executable is made of. */
async function hashInputs(commit: string): Promise<string> {
  const { stdout } = await run([
    "find",
    "main.ts",
    "deno.json",
    "deno.lock",
    ...["contracts", "lib", "server", "agent", "client", "ui", "migrations", "scripts"],
    ...[
      "-path",
      "scripts/toolchain/node_modules",
      "-prune",
      "-o",
      "-type",
      "f",
      "!",
      "-name",
      "*_test.ts",
      "-print",
    ],
  ], { cwd: root });
  const names = stdout.trim().split("\n").sort();
  const sums = await run(["sha256sum", ...names], { cwd: root });
  const all = new TextEncoder().encode(
    `${commit}\n${Deno.version.deno} ${Deno.build.target}\n${sums.stdout}`,
  );
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all)).toHex();
}

/** The commit checked out, with `+changes` when tracked files differ from it; `unknown` outside of git. */
async function describeCommit(): Promise<string> {
  try {
    const [head, changes] = await Promise.all([
      run(["git", "rev-parse", "--short=12", "HEAD"], { cwd: root }),
      run(["git", "status", "--porcelain", "--untracked-files=no"], { cwd: root }),
    ]);
    return head.stdout.trim() + (changes.stdout.trim() ? "+changes" : "");
  } catch {
    return "unknown";
  }
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

type Parts = Parameters<typeof appendParts>[1];

/** `deno compile` needs a denort binary; returns false where there is none, or only a fake one. */
async function compileWithDenort(outPath: string, parts: Parts, commit: string): Promise<boolean> {
  if (!Deno.env.get("DENORT_BIN")) return false;
  const flags = [
    "--quiet",
    "--allow-all",
    "--no-config",
    "--no-lock",
    "--no-npm",
    "--output",
    outPath,
    loader,
  ];
  try {
    await run([Deno.execPath(), "compile", ...flags], { timeoutMs: 120_000 });
    await appendParts(outPath, parts);
    await selfTest(outPath, commit);
    return true;
  } catch (error) {
    console.log(`deno compile with DENORT_BIN does not work, packing instead: ${error}`);
    return false;
  }
}

/** The new executable must say its own version and commit, with nothing around it. */
async function selfTest(path: string, commit: string): Promise<void> {
  const { stdout } = await run([path, "version"], { cwd: "/", timeoutMs: 20_000 });
  if (!stdout.startsWith("kvm-vdi ") || !stdout.includes(commit)) throw new Error(`${path} says: ${stdout}`);
}

async function compile(commit: string): Promise<void> {
  const { program, ui, licenses } = await bundleApp(commit);
  await writeUi(ui);
  const newPath = `${executable}.new`;
  await Deno.writeTextFile(`${root}dist/licenses.txt`, licenses);
  const files = await Promise.all(
    ui.map(async ({ name, bytes }) => ({ name, gzipBytes: await gzip(bytes) })),
  );
  const parts = { program, files };
  const compiled = await compileWithDenort(newPath, parts, commit);
  if (!compiled) {
    const stubPath = `${root}scripts/executable/stub.${Deno.build.arch}.bin`;
    const denoPath = Deno.execPath();
    await packElf({ denoPath, stubPath, programPath: loader, denoArguments, environment, outPath: newPath });
    await appendParts(newPath, parts);
    await selfTest(newPath, commit);
  }
  await Deno.rename(newPath, executable);
  const { size } = await Deno.stat(executable);
  const how = compiled ? "deno compile" : "the ELF packer";
  console.log(`dist/kvm-vdi: ${commit}, ${Math.round(size / 2 ** 20)} MiB, made with ${how}`);
}

const commit = await describeCommit();
const stamp = await hashInputs(commit);
const isThere = await Deno.stat(executable).then(() => true, () => false);
if (isThere && await readIfPresent(stampFile) === stamp) {
  console.log(`dist/kvm-vdi: ${commit}, unchanged`);
} else {
  await compile(commit);
  await Deno.writeTextFile(stampFile, stamp);
  await esbuild.stop();
}
