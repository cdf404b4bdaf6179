import assert from "node:assert/strict";
import { run } from "../../lib/process.ts";
import { guestOf } from "../support/guest.ts";
import { TestHypervisor } from "../support/hypervisor.ts";

const demoGuest = new URL("../../scripts/demo_guest", import.meta.url).pathname;
const note = "/data/note";

/** An initial with the demo guest and one vdi on it. */
async function makeDesktop(hypervisor: TestHypervisor) {
  const path = (await run([demoGuest])).stdout.trim().split("\n").at(-1)!.replace(/^.*: /, "");
  const { id: initialId } = await hypervisor.create({ name: "gold", role: "initial" }, {
    kind: "import",
    path,
  });
  const { id, name } = await hypervisor.create({ name: "desk", role: "vdi" }, { kind: "none" });
  await hypervisor.events.runJob(hypervisor.agent, { kind: "populate", initialId, machineIds: [id] });
  return { id, guest: guestOf(name) };
}

Deno.test("writes stay without a virtual snapshot and are lost with one, over power off and guest reboot", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent, events, scratchDir } = hypervisor;
  const { id, guest } = await makeDesktop(hypervisor);
  const shutDown = async () => {
    await agent.power(id, { action: "shutdown" });
    await events.untilDomain(id, "is off", ({ state }) => state === "shut-off", 60_000);
  };
  const noteOf = async () => (await guest.exec(["/bin/cat", note])).stdout;

  await agent.power(id, { action: "start" });
  await guest.ready();
  await guest.writeFile(note, "kept");
  await shutDown();

  await agent.power(id, { action: "start", virtualSnapshot: true });
  await guest.ready();
  assert.equal(await noteOf(), "kept");
  assert.deepEqual(await hypervisor.files(scratchDir), [`${id}.scratch.qcow2`]);
  await guest.writeFile(note, "lost at the reboot");

  // The guest's own reset, as from its menu: the machine comes back by itself, on a fresh scratch file.
  let before = events.all.length;
  await guest.exec(["/bin/sh", "-c", "(sleep 0.2; reboot -f) >/dev/null 2>&1 &"]);
  const since = () =>
    events.all.slice(before).flatMap((event) =>
      event.type === "domain" && event.domain.id === id ? [event.domain] : []
    );
  await events.until("the machine was off", () => since().some(({ state }) => state === "shut-off"));
  await events.untilDomain(id, "is back", ({ state }) => state === "running", 20_000);
  assert.equal(events.domains.get(id)?.virtualSnapshot, true);
  await guest.ready();
  assert.equal(await noteOf(), "kept");

  // A reboot that the agent is asked for does the same.
  await guest.writeFile(note, "lost again");
  before = events.all.length;
  await agent.power(id, { action: "reboot" });
  await events.until("the machine was off", () => since().some(({ state }) => state === "shut-off"));
  await events.untilDomain(id, "is back", ({ state }) => state === "running", 20_000);
  await guest.ready();
  assert.equal(await noteOf(), "kept");

  await guest.writeFile(note, "lost at power off");
  await shutDown();
  await events.untilDomain(id, "has no scratch file", ({ virtualSnapshot }) => !virtualSnapshot);
  await agent.power(id, { action: "start" });
  assert.deepEqual(await hypervisor.files(scratchDir), []);
  await guest.ready();
  assert.equal(await noteOf(), "kept");
});

Deno.test("a scratch file is dropped when QEMU crashes, and swept when the agent was not there to see the end", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent, events, scratchDir } = hypervisor;
  const { id, name } = await hypervisor.create({ name: "crash" }, { kind: "blank", bytes: 2 ** 24 });
  await agent.power(id, { action: "start", virtualSnapshot: true });
  const pid = Number((await Deno.readTextFile(`/run/libvirt/qemu/${name}.pid`)).trim());
  Deno.kill(pid, "SIGKILL");
  await events.untilDomain(
    id,
    "has crashed",
    ({ state, virtualSnapshot }) => state === "shut-off" && !virtualSnapshot,
  );
  await agent.power(id, { action: "start", virtualSnapshot: true });
  assert.equal((await hypervisor.files(scratchDir)).length, 1);

  await hypervisor.killAgent();
  await hypervisor.virsh("destroy", id);
  await Deno.writeTextFile(`${scratchDir}/${crypto.randomUUID()}.scratch.qcow2`, "stray");
  await hypervisor.startAgent();
  await hypervisor.events.until(
    "the connection",
    () => hypervisor.events.domains.get(id)?.state === "shut-off",
  );
  assert.deepEqual(await hypervisor.files(scratchDir), []);
});

Deno.test("a machine on a virtual snapshot lives through an agent that is killed and started again", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { id } = await hypervisor.create({ name: "live" }, { kind: "blank", bytes: 2 ** 24 });
  await hypervisor.agent.power(id, { action: "start", virtualSnapshot: true });
  await hypervisor.killAgent();
  await hypervisor.startAgent();
  const domain = await hypervisor.events.untilDomain(id, "runs", ({ state }) => state === "running");
  assert.equal(domain.virtualSnapshot, true);
  assert.equal((await hypervisor.files(hypervisor.scratchDir)).length, 1);
});
