import assert from "node:assert/strict";
import { z } from "zod";
import { AppError } from "../contracts/errors.ts";
import { defineMode, exitCodes, type ModeCommand, runCli, untilAborted } from "./cli.ts";

/** Runs one mode called `demo` and returns the exit code. */
function runDemo(args: string[], run: ModeCommand["run"]): Promise<number> {
  const options = z.object({ dataDir: z.string().default("/data"), verbose: z.boolean().default(true) });
  const command = defineMode({ name: "demo", summary: "for the test", options, run });
  return runCli([{ name: "demo", summary: command.summary, load: () => Promise.resolve(command) }], args);
}

Deno.test("runCli() gives the mode its parsed options and passes its exit code on", async () => {
  let seen: unknown;
  const code = await runDemo(
    ["demo", "--data-dir", "/x", "--no-verbose", "--log-level", "silent"],
    (options) => {
      seen = options;
      return Promise.resolve(7);
    },
  );
  assert.deepEqual([code, seen], [7, { dataDir: "/x", verbose: false, logLevel: "silent" }]);
});

Deno.test("runCli() does not load the modes that were not asked for", async () => {
  const load = () => Promise.reject(new Error("must not be loaded"));
  const other = { name: "other", summary: "another mode", load };
  const options = z.object({});
  const asked = defineMode({ name: "demo", summary: "asked for", options, run: () => Promise.resolve() });
  const entry = { name: "demo", summary: asked.summary, load: () => Promise.resolve(asked) };
  assert.equal(await runCli([other, entry], ["demo"]), exitCodes.ok);
});

Deno.test("runCli() answers an expected failure with exit code 1 and a wrong setting with 2", async () => {
  const failWith = (code: "unavailable" | "invalid") => () => Promise.reject(new AppError(code, "no"));
  assert.equal(await runDemo(["demo"], failWith("unavailable")), exitCodes.failed);
  assert.equal(await runDemo(["demo"], failWith("invalid")), exitCodes.usage);
});

Deno.test("runCli() drains and ends with 0 on SIGTERM", async () => {
  let drained = false;
  const code = await runDemo(["demo", "--log-level", "silent"], async (_options, { signal }) => {
    Deno.kill(Deno.pid, "SIGTERM");
    await untilAborted(signal);
    drained = true;
  });
  assert.deepEqual([code, drained], [exitCodes.ok, true]);
});
