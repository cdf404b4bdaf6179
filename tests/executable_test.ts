/** The compiled executable, as a user would get it: one file, somewhere read-only, without network, HOME or Deno. */
import assert from "node:assert/strict";
import { run, type RunOptions } from "../lib/process.ts";

const built = new URL("../dist/kvm-vdi", import.meta.url).pathname;
const nobody = 65534;

/** Runs the executable as nobody, without environment; on a machine that allows it also without network. */
async function runAsNobody(args: string[], options: RunOptions = {}) {
  const bare = ["env", "-i", built, ...args];
  if (Deno.uid() !== 0) return await run(bare, { cwd: "/", ...options });
  return await run([
    "unshare",
    "--net",
    "setpriv",
    `--reuid=${nobody}`,
    `--regid=${nobody}`,
    "--clear-groups",
    ...bare,
  ], {
    cwd: "/",
    ...options,
  });
}

Deno.test("executable: version says version, commit and runtime in less than 0.3 s, as nobody and offline", async () => {
  const times: number[] = [];
  let stdout = "", stderr = "";
  // The best of several: the first brings the file into memory, and others may be using the processors.
  for (let round = 0; round < 5; round++) {
    const startedAt = performance.now();
    ({ stdout, stderr } = await runAsNobody(["version"]));
    times.push(performance.now() - startedAt);
  }
  const tookMs = Math.min(...times);
  assert.match(stdout, /^kvm-vdi \d+\.\d+\.\d+\ncommit {2}[0-9a-f]{12}(\+changes)?\nruntime Deno \d/);
  assert.equal(stderr, "");
  assert(tookMs < 300, `took ${Math.round(tookMs)} ms`);
});

Deno.test("executable: works from a read-only directory and writes nothing beside itself", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.copyFile(built, `${folder}/kvm-vdi`);
    await Deno.chmod(`${folder}/kvm-vdi`, 0o555);
    await Deno.chmod(folder, 0o555);
    const { stdout } = await run(["env", "-i", `${folder}/kvm-vdi`, "--help"], { cwd: folder });
    assert.match(stdout, /dashboard[\s\S]*agent[\s\S]*client[\s\S]*version/);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["kvm-vdi"]);
  } finally {
    await Deno.chmod(folder, 0o755);
    await Deno.remove(folder, { recursive: true });
  }
});

for (const mode of ["dashboard", "agent", "client"]) {
  Deno.test(`executable: ${mode} --help lists its options`, async () => {
    const { stdout } = await runAsNobody([mode, "--help"]);
    assert.match(stdout, new RegExp(`^Usage: kvm-vdi ${mode} \\[options\\]`));
    assert.match(stdout, /--config <file>/);
  });

  Deno.test(`executable: ${mode} refuses an unknown option with exit code 2`, async () => {
    await assert.rejects(runAsNobody([mode, "--no-such-option"]), { code: 2 });
  });
}

Deno.test("executable: is smaller than 110 MB", async () => {
  const { size } = await Deno.stat(built);
  assert(size < 110e6, `${size} bytes`);
});
