/** The thin client: dist/kvm-vdi client with the real remote-viewer on a virtual screen, and a real guest. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type RunningProcess, spawn } from "../../lib/process.ts";
import { eventually } from "../support/eventually.ts";
import { type GoldenImage, makeGoldenImage, makePool, type TestPool } from "../support/golden_image.ts";
import { guestOf } from "../support/guest.ts";
import { type Screen, startScreen } from "../support/screen.ts";
import { type ApiUser, executable, Stand } from "../support/stand.ts";

const started = new AsyncDisposableStack();
let stand: Stand;
let admin: ApiUser;
let golden: GoldenImage;
let pool: TestPool;
let screen: Screen;
let ca: string;
const poolName = "e2e-client-lab";

Deno.test.beforeAll(async () => {
  stand = started.use(await Stand.start({ prefix: "e2e-client-" }));
  admin = await stand.admin();
  golden = await makeGoldenImage(stand, { vdis: 1 });
  pool = await makePool(stand, "lab", [golden.vdis[0]!.id], ["lea", "max"]);
  screen = started.use(await startScreen());
  // remote-viewer asks before it closes, unless its user has told it not to.
  await Deno.mkdir(join(stand.dir, "config/virt-viewer"), { recursive: true });
  await Deno.writeTextFile(join(stand.dir, "config/virt-viewer/settings"), "[virt-viewer]\nask-quit=false\n");
  ca = join(stand.dir, "ca.pem");
  await Deno.writeTextFile(ca, await stand.certificate());
});
// A client that a failed test has left would hold the only desktop.
const clients: RunningProcess[] = [];
Deno.test.afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});
Deno.test.afterAll(() => started.disposeAsync());

interface RunningClient {
  process: RunningProcess;
  /** What it has said so far. */
  said(): string;
  exitCode(): Promise<number>;
}

async function startClient(
  username: string,
  password: string,
  desktopPool = poolName,
): Promise<RunningClient> {
  const argv = [executable, "client", "--server", stand.url, "--ca", ca, "--username", username];
  let said = "";
  const process = spawn([...argv, "--password-stdin", "--desktop-pool", desktopPool, "--once"], {
    env: { ...screen.env, XDG_CONFIG_HOME: join(stand.dir, "config") },
    stdin: true,
    diesWithParent: true,
    onStderrLine: (line) => said += `${line}\n`,
  });
  clients.push(process);
  void (async () => {
    for await (const line of process.lines()) said += `${line}\n`;
  })();
  await process.write(`${password}\n`);
  await process.closeStdin();
  return { process, said: () => said, exitCode: () => exitCodeOf(process) };
}

/** Its exit code; one that does not end is ended, so that the test shows what it said. */
async function exitCodeOf(process: RunningProcess): Promise<number> {
  const timer = setTimeout(() => void process.stop(), 30_000);
  const { code } = await process.status;
  clearTimeout(timer);
  return code;
}

/** Waits until the guest's screen is shown. */
const shown = () =>
  eventually("the desktop is on the screen", async () => await screen.colours() > 2, { timeoutMs: 60_000 });
const leases = async () => (await admin.call("listLeases", { query: {} })).items;

Deno.test("the client shows the desktop full screen, keys reach the guest, and closing it gives the desktop back", async () => {
  const client = await startClient("lea", pool.password);
  const guest = guestOf(golden.vdis[0]!.name);
  await shown();
  await guest.ready();
  await screen.typeLine("typed on a thin client");
  await eventually(
    "the guest has the line",
    async () => await guest.lastTyped() === "typed on a thin client",
  );
  assert.deepEqual((await leases()).map(({ username, state }) => [username, state]), [["lea", "ready"]]);
  await screen.closeWindow();
  assert.equal(await client.exitCode(), 0, client.said());
  assert.deepEqual(await leases(), []);
});

Deno.test("the desktop stays open while the dashboard is restarted", async () => {
  await stand.untilFree(admin, pool.id);
  const client = await startClient("lea", pool.password);
  await shown();
  const [before] = await leases();
  Deno.kill((await stand.pids()).dashboard, "SIGKILL");
  await stand.untilHealthy(10_000);
  await eventually("the lease is held on", async () => (await leases())[0]?.id === before!.id);
  // The viewer is opened again by itself; what is typed before that goes nowhere.
  await eventually("keys reach the guest again", async () => {
    await screen.typeLine("still here");
    return await guestOf(golden.vdis[0]!.name).lastTyped() === "still here";
  }, { timeoutMs: 45_000, everyMs: 1_000 });
  Deno.kill(client.process.pid, "SIGTERM");
  assert.equal(await client.exitCode(), 0, client.said());
  await eventually("the desktop is given back", async () => (await leases()).length === 0);
});

Deno.test("an admin who ends the session closes the viewer, and the client says so by its exit code", async () => {
  await stand.untilFree(admin, pool.id);
  const client = await startClient("lea", pool.password);
  await shown();
  const [lease] = await leases();
  await admin.call("endLease", { id: lease!.id });
  assert.equal(await client.exitCode(), 9, client.said());
});

Deno.test("refusals have words and exit codes of their own", async () => {
  await stand.untilFree(admin, pool.id);
  const wrong = await startClient("lea", "not this one");
  assert.equal(await wrong.exitCode(), 3, wrong.said());
  const unknown = await startClient("lea", pool.password, "no such pool");
  assert.equal(await unknown.exitCode(), 4, unknown.said());
  const max = await stand.signIn("max", pool.password);
  const { desktop } = await max.call("getDesktop", { body: { desktopPoolId: pool.id } });
  const late = await startClient("lea", pool.password);
  assert.equal(await late.exitCode(), 5, late.said());
  assert.match(late.said(), /No free desktop/);
  await max.call("endMyDesktop", { id: desktop.id });
});
