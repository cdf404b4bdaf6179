import assert from "node:assert/strict";
import { run } from "../../lib/process.ts";
import { makePrivateKey } from "../agents/ssh/make_key.ts";
import { RootShell, signInMethods } from "./enrol_account.ts";
import { quote, type RemoteOptions, type RemoteResult, type RemoteShell } from "./remote_shell.ts";

const username = "setup";

/** A host where `sudo -n` is refused and `sudo -S` says this. */
function hostOf(answer: Partial<RemoteResult>) {
  const asked: { script: string; stdin?: string }[] = [];
  const shell = {
    run: (script: string, { stdin }: RemoteOptions = {}) => {
      asked.push({ script, stdin });
      const isPlain = script.includes("sudo -n");
      return Promise.resolve({ code: 1, stdout: "", stderr: "", ...isPlain ? {} : answer });
    },
  } as unknown as RemoteShell;
  return { shell, asked };
}

Deno.test("RootShell gives the password to sudo's input only, and says what is in the way", async () => {
  const good = hostOf({ code: 0 });
  const root = await RootShell.open(good.shell, { username, password: "secret" }, false, "host");
  await root.run("id; echo 'x'");
  assert.deepEqual(good.asked.map(({ stdin }) => stdin), [undefined, "secret\n", "secret\n"]);
  assert.ok(good.asked.every(({ script }) => !script.includes("secret")));
  assert.ok(good.asked.at(-1)!.script.endsWith(quote("id; echo 'x'")));

  for (
    const [stderr, credentials, message] of [
      ["setup is not in the sudoers file.", { password: "x" }, /may not use sudo on host\. Allow it there/],
      ["Sorry, user setup is not allowed to execute", { password: "x" }, /may not use sudo/],
      ["sh: 1: sudo: not found", { password: "x" }, /there is no sudo on host/],
      ["sudo: sorry, you must have a tty to run sudo", { password: "x" }, /requiretty/],
      ["sudo: 1 incorrect password attempt", { password: "x" }, /does not accept the password of setup/],
      ["sudo: no password was provided", { privateKey: "k" }, /asks setup for a password\. Give it, besides/],
    ] as const
  ) {
    const { shell } = hostOf({ stderr });
    const opening = RootShell.open(shell, { username, ...credentials }, false, "host");
    await assert.rejects(opening, { code: "conflict", message });
  }
});

Deno.test("RootShell of root asks for nothing", async () => {
  const { shell, asked } = hostOf({ code: 0 });
  const root = await RootShell.open(shell, { username: "root", password: "secret" }, true, "host");
  await root.run("id");
  assert.deepEqual(asked, [{ script: "id", stdin: undefined }]);
});

Deno.test("signInMethods() offers the key before the password, and refuses a key that it cannot read", async () => {
  const privateKey = await makePrivateKey("ed25519", "test");
  const kinds = (credentials: Parameters<typeof signInMethods>[0]) =>
    signInMethods(credentials).map(({ type }) => type);
  assert.deepEqual(kinds({ username, privateKey, password: "x" }), [
    "publickey",
    "password",
    "keyboard-interactive",
  ]);
  assert.deepEqual(kinds({ username, password: "x" }), ["password", "keyboard-interactive"]);
  assert.throws(() => kinds({ username, privateKey: "x" }), {
    code: "invalid",
    message: /^privateKey is not/,
  });
});

Deno.test("quote() makes any text one word of a shell", async () => {
  for (const text of ["plain", "it's", "'; touch /tmp/x; '", '$(id) `id` \\ " \n', ""]) {
    assert.equal((await run(["sh", "-c", `printf %s ${quote(text)}`])).stdout, text);
    const nested = `printf %s ${quote(text)}`;
    assert.equal((await run(["sh", "-c", `sh -c ${quote(nested)}`])).stdout, text);
  }
});
