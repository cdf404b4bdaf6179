/** The client as a process against a dashboard in this one; a program stands for remote-viewer, a socket for a display. */
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type RunningProcess, spawn } from "../../lib/process.ts";
import { Passwords } from "../../server/users/passwords.ts";
import { eventually } from "../support/eventually.ts";
import { type Lab, type LabOptions, startLab } from "../support/lab.ts";

const root = new URL("../../", import.meta.url).pathname;
const password = "correct horse battery staple";

interface Bench extends AsyncDisposable {
  lab: Lab;
  /** Connections of viewers to the display, open ones. */
  displays: Set<Socket>;
  client(flags?: Partial<Flags>): Promise<Client>;
}
interface Flags {
  username: string;
  password: string;
  pool: string;
  server: string;
  viewer: "leave" | "stay" | "dialog" | "blind";
  extra: string[];
}
interface Client {
  process: RunningProcess;
  said(): string;
  exitCode(): Promise<number>;
}

async function startBench(options: LabOptions = {}): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await startLab({ machines: 1, users: 2, ...options }));
  await givePasswords(lab);
  const displays = new Set<Socket>();
  const display = createServer((socket) => {
    displays.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => displays.delete(socket));
    socket.write("a display");
  });
  await new Promise<void>((resolve) => display.listen(0, "127.0.0.1", resolve));
  stack.defer(() => void display.close());
  const { port } = display.address() as AddressInfo;
  lab.agent.ticket = (_id, { ttlSeconds }) =>
    Promise.resolve({
      protocol: "spice",
      host: "127.0.0.1",
      port,
      password: "display-password",
      expiresAt: Date.now() + ttlSeconds * 1000,
    });
  const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-client-" });
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  const viewer = join(dir, "viewer");
  const script = join(root, "tests/support/fake_viewer.ts");
  await Deno.writeTextFile(
    viewer,
    `#!/bin/sh\nexec '${Deno.execPath()}' run -A -q --no-check '${script}' "$@"\n`,
  );
  await Deno.chmod(viewer, 0o755);
  const running = stack.move();
  return {
    lab,
    displays,
    client: (flags) => startClient(lab, viewer, flags),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The lab's users have none. */
async function givePasswords({ board, users }: Lab): Promise<void> {
  const passwords = new Passwords(1);
  const password_hash = await passwords.hash(password);
  passwords.close();
  const ids = users.map(({ userId }) => userId);
  await board.app.db.updateTable("users").set({ password_hash }).where("id", "in", ids).execute();
}

async function startClient(lab: Lab, viewer: string, flags: Partial<Flags> = {}): Promise<Client> {
  const argv = [Deno.execPath(), "run", "-A", "-q", "--no-check", join(root, "main.ts"), "client"];
  const { username = "user1", pool = "Lab", server = lab.board.url, extra = ["--once"] } = flags;
  const options = ["--server", server, "--username", username, "--password-stdin", "--desktop-pool", pool];
  let said = "";
  const process = spawn([...argv, ...options, "--viewer", viewer, ...extra], {
    env: { FAKE_VIEWER: flags.viewer ?? "leave" },
    stdin: true,
    stdout: "null",
    onStderrLine: (line) => said += `${line}\n`,
  });
  await process.write(`${flags.password ?? password}\n`);
  await process.closeStdin();
  return { process, said: () => said, exitCode: async () => (await process.status).code };
}

const activeLeases = async ({ lab }: Bench) => (await lab.admin.call("listLeases")).items;

Deno.test("the client opens the desktop through its tunnel and gives it back when the viewer is closed", async () => {
  await using bench = await startBench();
  const client = await bench.client();
  assert.equal(await client.exitCode(), 0, client.said());
  assert.match(client.said(), /lab-1 is (being prepared|being started|booting)/);
  assert.match(client.said(), /Lab opens on lab-1/);
  assert.deepEqual(await activeLeases(bench), []);
  const { items: [lease] } = await bench.lab.admin.call("listLeases", { query: { active: "false" } });
  assert.equal(lease?.terminal, Deno.hostname());
  assert.equal(lease?.endReason, "Given back by the user.");
});

Deno.test("the client refuses with an exit code for each reason", async () => {
  await using bench = await startBench();
  const wrong = await bench.client({ password: "not this one" });
  assert.equal(await wrong.exitCode(), 3, wrong.said());
  const unknown = await bench.client({ pool: "nowhere" });
  assert.equal(await unknown.exitCode(), 4, unknown.said());
  assert.match(unknown.said(), /You may use: Lab\./);
  const body = { desktopPoolId: bench.lab.poolId };
  await bench.lab.users[1]!.call("getDesktop", { body });
  const full = await bench.client();
  assert.equal(await full.exitCode(), 5, full.said());
  assert.match(full.said(), /No free desktop in Lab: 1 (in use|being prepared)/);
  const away = await bench.client({ server: "http://127.0.0.1:9" });
  assert.equal(await away.exitCode(), 7, away.said());
  const aimless = await bench.client({ extra: ["--once", "--no-such-flag"] });
  assert.equal(await aimless.exitCode(), 2, aimless.said());
});

Deno.test("the client says so when the viewer is not installed", async () => {
  await using bench = await startBench();
  const client = await bench.client({ extra: ["--once", "--viewer", "/nonexistent/viewer"] });
  assert.equal(await client.exitCode(), 8, client.said());
  assert.match(client.said(), /is the package virt-viewer installed\?/);
  assert.deepEqual(await activeLeases(bench), []);
});

Deno.test("the client ends a viewer that hangs in an error dialog, and tells that the session was ended", async () => {
  await using bench = await startBench();
  const client = await bench.client({ viewer: "dialog" });
  await eventually("the display is open", () => bench.displays.size === 1);
  const [lease] = await activeLeases(bench);
  await bench.lab.admin.call("endLease", { id: lease!.id });
  assert.equal(await client.exitCode(), 9, client.said());
});

Deno.test("the client gives way when the desktop is opened on another device", async () => {
  await using bench = await startBench();
  const client = await bench.client({ viewer: "stay" });
  await eventually("the display is open", () => bench.displays.size === 1);
  const body = { desktopPoolId: bench.lab.poolId, terminal: "the other device" };
  await bench.lab.users[0]!.call("getDesktop", { body });
  for (const socket of bench.displays) socket.destroy();
  assert.equal(await client.exitCode(), 9, client.said());
  assert.match(client.said(), /You opened this desktop on the other device/);
  assert.equal((await activeLeases(bench)).length, 1, "it is the other device's now");
});

Deno.test("a desktop that its user shuts down from inside is given back", async () => {
  await using bench = await startBench();
  const client = await bench.client({ viewer: "stay" });
  await eventually("the display is open", () => bench.displays.size === 1);
  bench.lab.agent.change(bench.lab.machines[0]!.id, { state: "shut-off", guestAgent: false });
  for (const socket of bench.displays) socket.destroy();
  assert.equal(await client.exitCode(), 0, client.said());
  assert.deepEqual(await activeLeases(bench), []);
});

Deno.test("the client opens the same desktop again after the dashboard was restarted", async () => {
  await using bench = await startBench();
  const { lab } = bench;
  const port = new URL(lab.board.url).port;
  lab.board.app.config.listen.port = Number(port);
  const client = await bench.client({ viewer: "stay" });
  await eventually("the display is open", () => bench.displays.size === 1);
  const [before] = await activeLeases(bench);
  lab.board = await lab.board.restart({
    dataDir: lab.board.dataDir,
    config: { listen: { host: "127.0.0.1", port: Number(port) } },
  });
  lab.admin = lab.board.admin;
  await eventually("the display is open again", () => bench.displays.size === 1);
  assert.deepEqual((await activeLeases(bench)).map(({ id }) => id), [before!.id]);
  Deno.kill(client.process.pid, "SIGTERM");
  assert.equal(await client.exitCode(), 0, client.said());
  assert.deepEqual(await activeLeases(bench), []);
});
