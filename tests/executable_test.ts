/** The compiled executable, as a user would get it: one file, somewhere read-only, without network, HOME or Deno. */
import assert from "node:assert/strict";
import { run, spawn } from "../lib/process.ts";

const built = new URL("../dist/kvm-vdi", import.meta.url).pathname;

/** A copy that anybody can reach; the repository may be below /root. */
const folder = await Deno.makeTempDir();
await Deno.chmod(folder, 0o755);
const reachable = `${folder}/kvm-vdi`;
await Deno.copyFile(built, reachable);
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** The executable as another user, without environment and network, if this user may do that. */
function asNobody(...args: string[]): string[] {
  const bare = ["env", "-i", reachable, ...args];
  if (Deno.uid() !== 0) return bare;
  return ["unshare", "--net", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...bare];
}

Deno.test("executable: version says version, commit and runtime, as nobody and offline", async () => {
  const { stdout, stderr } = await run(asNobody("version"), { cwd: "/" });
  assert.match(
    stdout,
    /^kvm-vdi \d+\.\d+\.\d+\ncommit {2}([0-9a-f]{12}(\+changes)?|unknown)\nruntime Deno \d/,
  );
  assert.equal(stderr, "");
});

Deno.test("executable: a start takes less than 0.3 s of processor time", async () => {
  const times: number[] = [];
  // Processor time, because others may be using the machine; the first of several brings the file into memory.
  for (let round = 0; round < 5; round++) {
    const { stderr } = await run(["bash", "-c", 'TIMEFORMAT="%U %S"; time "$0" version >/dev/null', built]);
    times.push(stderr.trim().split(" ").reduce((sum, seconds) => sum + Number(seconds), 0));
  }
  assert(Math.min(...times) < 0.3, `took ${times.join(", ")} s`);
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
    const { stdout } = await run(asNobody(mode, "--help"), { cwd: "/" });
    assert.match(stdout, new RegExp(`^Usage: kvm-vdi ${mode} \\[options\\]`));
    assert.match(stdout, /--config <file>/);
  });

  Deno.test(`executable: ${mode} refuses an unknown option with exit code 2`, async () => {
    await assert.rejects(run(asNobody(mode, "--no-such-option"), { cwd: "/" }), { code: 2 });
  });
}

Deno.test("executable: is smaller than 110 MB", async () => {
  const { size } = await Deno.stat(built);
  assert(size < 110e6, `${size} bytes`);
});

Deno.test("executable: agent, dashboard and client work together, and end with 0 on SIGTERM", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.chmod(folder, 0o755);
  try {
    const socket = `${folder}/agent.sock`;
    const agent = spawn([
      built,
      "agent",
      "--socket",
      socket,
      "--state-dir",
      `${folder}/agent`,
      "--domain-type",
      "qemu",
    ], {
      stderr: "null",
      stdout: "null",
    });
    await using dashboard = spawn([
      ...[
        built,
        "dashboard",
        "--data-dir",
        `${folder}/dashboard`,
        "--listen",
        "127.0.0.1:0",
        "--user",
        "nobody",
      ],
      ...["--agent-socket", socket],
    ], { stderr: "null" });
    const lines = dashboard.lines();
    const { value: ready = "" } = await lines.next();
    const [, url, setupUrl] = /^KVM-VDI is ready: (https:\/\/\S+) {2}Setup: (\S+)$/.exec(ready) ?? [];
    assert(url && setupUrl?.startsWith(`${url}/setup?token=`), ready);

    const caFile = `${folder}/dashboard/certificates/ca.pem`;
    using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(caFile)] });
    const get = async (path: string) => await (await fetch(url + path, { client } as RequestInit)).text();
    assert.match(await get("/healthz"), /"ok"/);
    const [, script] = /src="(\/assets\/main-[^"]+\.js)"/.exec(await get("/")) ?? [];
    assert(script);
    assert.match(await get(script), /import/);
    assert.match(await get("/api/openapi.json"), /"openapi"/);

    const refused = run(
      [
        built,
        "client",
        "--server",
        url,
        "--ca",
        caFile,
        "--username",
        "nobody",
        "--password-stdin",
        "--once",
      ],
      { stdin: "not the password\n" },
    );
    await assert.rejects(refused, { code: 3 });

    const rest = Array.fromAsync(lines);
    assert.deepEqual(await dashboard.stop(20_000), { code: 0, signal: null });
    assert.deepEqual(await agent.stop(20_000), { code: 0, signal: null });
    await rest;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
