import assert from "node:assert/strict";
import { AppError } from "../contracts/errors.ts";
import { createLogger } from "../lib/log.ts";
import { DashboardConfig } from "./config.ts";
import { handOver } from "./hand_over.ts";
import { supervise } from "./supervisor.ts";

const root = Deno.uid() === 0;
const someone = { uid: 12345, gid: 12346 };

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "handOver() makes the data directory for its user alone",
  ignore: !root,
  fn: () =>
    inFolder(async (folder) => {
      await handOver(`${folder}/a/data`, someone);
      const { uid, gid, mode } = await Deno.stat(`${folder}/a/data`);
      assert.deepEqual([uid, gid, mode! & 0o777], [someone.uid, someone.gid, 0o700]);
      assert.equal((await Deno.stat(`${folder}/a`)).uid, 0);
    }),
});

Deno.test({
  name: "handOver() gives away what root owns, and never what a link in it points to",
  ignore: !root,
  fn: () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/data`);
      await Deno.writeTextFile(`${folder}/data/file`, "");
      await Deno.writeTextFile(`${folder}/outside`, "");
      await Deno.symlink(`${folder}/outside`, `${folder}/data/link`);
      await handOver(`${folder}/data`, someone);
      assert.equal((await Deno.stat(`${folder}/data/file`)).uid, someone.uid);
      assert.equal((await Deno.lstat(`${folder}/data/link`)).uid, someone.uid);
      assert.equal((await Deno.stat(`${folder}/outside`)).uid, 0);
    }),
});

Deno.test({
  name: "handOver() touches nothing in a directory of the user or of somebody else",
  ignore: !root,
  fn: () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/data`);
      await Deno.writeTextFile(`${folder}/data/planted`, "");
      await Deno.chown(`${folder}/data`, someone.uid, someone.gid);
      await handOver(`${folder}/data`, someone);
      assert.equal((await Deno.stat(`${folder}/data/planted`)).uid, 0);
      await assert.rejects(handOver(`${folder}/data`, { uid: 777, gid: 777 }), {
        code: "invalid",
        message: /12345/,
      });
    }),
});

Deno.test("supervise() says how to make the user that is missing, and refuses root", async () => {
  const context = {
    signal: new AbortController().signal,
    log: createLogger({ mode: "test", level: "silent" }),
  };
  const start = (user: string) =>
    supervise(DashboardConfig.parse({ user, dataDir: "/nonexistent/kvm-vdi" }), context);
  await assert.rejects(start("no-such-user-here"), (error: unknown) => {
    assert(error instanceof AppError);
    assert.match(error.message, /useradd --system .* no-such-user-here\n/);
    return true;
  });
  await assert.rejects(start("root"), { code: "invalid", message: /does not run as root/ });
});
