import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { besideExecutable, replaceExecutable, sha256Of } from "./executable_file.ts";
import { run, startDetached } from "./process.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("replaceExecutable() puts a program in place that everybody can run, and leaves nothing beside it", () =>
  withFolder(async (folder) => {
    const path = join(folder, "program");
    await Deno.writeTextFile(path, "#!/bin/sh\necho old\n", { mode: 0o755 });
    const next = besideExecutable(path);
    assert.equal(dirname(next), folder);
    assert.ok(basename(next).startsWith(".program."));
    await Deno.writeTextFile(next, "#!/bin/sh\necho new\n", { mode: 0o600 });
    await replaceExecutable(next, path);
    assert.equal((await run([path])).stdout, "new\n");
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o755);
    assert.deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["program"]);
  }));

Deno.test("sha256Of() is what sha256sum says, and null without a file", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    await Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(60_000)));
    assert.equal(await sha256Of(path), (await run(["sha256sum", path])).stdout.split(" ")[0]);
    assert.equal(await sha256Of(join(folder, "none")), null);
  }));

// The child is nobody's to wait for: it may end after the test.
Deno.test("startDetached() starts a session of its own and appends what it says to the file", {
  sanitizeOps: false,
  sanitizeResources: false,
}, () =>
  withFolder(async (folder) => {
    const log = join(folder, "log");
    await Deno.writeTextFile(log, "before\n");
    const fifo = join(folder, "fifo");
    await run(["mkfifo", fifo]);
    const pid = startDetached(["sh", "-c", 'echo said; echo also >&2; ps -o sid= -p $$ > "$0"', fifo], log);
    assert.equal(Number(await Deno.readTextFile(fifo)), pid);
    assert.equal(await Deno.readTextFile(log), "before\nsaid\nalso\n");
  }));
