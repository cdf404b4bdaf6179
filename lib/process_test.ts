import assert from "node:assert/strict";
import { ProcessError, readLines, run, spawn } from "./process.ts";

Deno.test("run() returns both outputs and feeds standard input", async () => {
  const { stdout, stderr } = await run(["sh", "-c", "cat; echo oops >&2"], { stdin: "héllo" });
  assert.equal(stdout, "héllo");
  assert.equal(stderr, "oops\n");
});

Deno.test("run() passes arguments as they are, without a shell", async () => {
  const { stdout } = await run(["printf", "%s", "$(id) `id` ; x"]);
  assert.equal(stdout, "$(id) `id` ; x");
});

Deno.test("run() rejects with argv, exit code and stderr when the command fails", async () => {
  await assert.rejects(run(["sh", "-c", "echo broken >&2; exit 3"]), (error: unknown) => {
    assert(error instanceof ProcessError);
    assert.deepEqual([error.code, error.signal, error.stderr], [3, null, "broken\n"]);
    assert.match(error.message, /^sh -c .*: ended with exit code 3: broken$/);
    return true;
  });
});

Deno.test("run() says so when the command is not installed", async () => {
  await assert.rejects(run(["/nonexistent/command"]), /\/nonexistent\/command: is not installed/);
});

Deno.test("run() accepts a command that ends without reading its input", async () => {
  await run(["true"], { stdin: "x".repeat(1_000_000) });
});

Deno.test("run() ends the whole process group when it is aborted", async () => {
  const abort = new AbortController();
  let grandchild = 0;
  const running = run(["sh", "-c", "sleep 60 & echo $!; wait"], {
    signal: abort.signal,
    onStdout: (text) => {
      grandchild = Number(text);
      abort.abort(new Error("cancelled by the test"));
    },
  });
  await assert.rejects(running, /cancelled by the test/);
  await untilGone(grandchild);
});

Deno.test("run() ends the child when reading its output fails", async () => {
  const running = run(["sh", "-c", "echo line; exec sleep 60"], {
    onStdout: () => {
      throw new Error("cannot parse");
    },
  });
  await assert.rejects(running, /cannot parse/);
});

Deno.test("run() ends a command that exceeds its time", async () => {
  await assert.rejects(run(["sleep", "60"], { timeoutMs: 50 }), /sleep 60: took longer than 50 ms/);
});

Deno.test("run() speaks the C locale to its children", async () => {
  assert.equal((await run(["sh", "-c", 'printf %s "$LC_ALL"'])).stdout, "C");
});

Deno.test("spawn() gives lines as they come and takes input", async () => {
  const child = spawn(["cat"], { stdin: true });
  const lines = child.lines();
  await child.write("one\n");
  assert.deepEqual(await lines.next(), { value: "one", done: false });
  await child.write("two\nthree");
  await child.closeStdin();
  assert.deepEqual(await Array.fromAsync(lines), ["two", "three"]);
  assert.deepEqual(await child.status, { code: 0, signal: null });
});

Deno.test("spawn().stop() kills a child that ignores SIGTERM", async () => {
  const child = spawn(["sh", "-c", 'trap "" TERM; echo ready; while :; do sleep 1; done']);
  const lines = child.lines();
  await lines.next();
  const [status] = await Promise.all([child.stop(100), Array.fromAsync(lines)]);
  assert.equal(status.signal, "SIGKILL");
});

Deno.test("spawn() stops the child when its signal aborts, and keeps the end of stderr", async () => {
  const abort = new AbortController();
  const child = spawn(["sh", "-c", "echo starting >&2; exec sleep 60"], {
    signal: abort.signal,
    stdout: "null",
    onStderrLine: () => abort.abort(),
  });
  assert.equal((await child.status).signal, "SIGTERM");
  assert.equal(child.stderrTail(), "starting");
});

Deno.test("spawn() leaves no pipe open when nobody has used it", async () => {
  const child = spawn(["sh", "-c", "echo unread; exec sleep 60"], { stdin: true });
  assert.equal((await child.stop()).signal, "SIGTERM");
  const ended = spawn(["echo", "unread"], { stdin: true });
  assert.equal((await ended.status).code, 0);
});

Deno.test("readLines() joins characters that were cut between two chunks", async () => {
  const bytes = new TextEncoder().encode("žalia\nrest");
  const stream = ReadableStream.from([bytes.slice(0, 1), bytes.slice(1)]);
  assert.deepEqual(await Array.fromAsync(readLines(stream)), ["žalia", "rest"]);
});

/** Waits until a process id is free; the kernel needs a moment after the signal. */
async function untilGone(pid: number): Promise<void> {
  assert(pid > 0);
  for (let tries = 0; tries < 200; tries++) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
    if (stat === "" || stat.includes(") Z ")) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`process ${pid} is still running`);
}
