import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { eventually } from "../support/eventually.ts";
import { TestHypervisor } from "../support/hypervisor.ts";
import { OwnLibvirt } from "../support/own_libvirt.ts";
import { SpiceLinkRefused, SpiceViewer } from "../support/spice_link.ts";

const mib = 2 ** 20;

async function startMachine(hypervisor: TestHypervisor) {
  const { id } = await hypervisor.create({ name: "display" }, { kind: "blank", bytes: 16 * mib });
  await hypervisor.agent.power(id, { action: "start" });
  return { id, name: hypervisor.events.domains.get(id)!.name };
}

async function commandLineOf(name: string): Promise<string> {
  const pid = (await readFile(`/run/libvirt/qemu/${name}.pid`, "utf8")).trim();
  return await readFile(`/proc/${pid}/cmdline`, "utf8");
}

Deno.test("a ticket admits one viewer, is told while it looks, and is useless afterwards; it is in no argv and no log (defect 7)", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent, events } = hypervisor;
  const { id, name } = await startMachine(hypervisor);
  const ticket = await agent.ticket(id, { ttlSeconds: 60 });

  using viewer = await SpiceViewer.connect(ticket);
  const seen = await events.untilDomain(id, "has a viewer", ({ viewers }) => viewers.length === 1);
  assert.equal(seen.viewers[0]?.address, "127.0.0.1");
  assert.ok(events.all.some((event) => event.type === "display" && event.event === "connected"));

  // The ticket ends once its viewer is complete, long before it would expire.
  await eventually(
    "the display is closed",
    async () => (await hypervisor.virsh("dumpxml", id, "--security-info")).includes("passwdValidTo='1970-"),
  );
  await assert.rejects(SpiceViewer.connect(ticket), SpiceLinkRefused);
  assert.equal(events.domains.get(id)?.viewers.length, 1, "the first viewer stays");

  await agent.kick(id);
  await viewer.closed;
  await events.untilDomain(id, "has no viewer", ({ viewers }) => viewers.length === 0);
  assert.ok(events.all.some((event) => event.type === "display" && event.event === "disconnected"));

  assert.ok(!(await commandLineOf(name)).includes(ticket.password));
  assert.ok(!hypervisor.log().includes(ticket.password));
  assert.ok(!JSON.stringify(events.all).includes(ticket.password));
  assert.ok(!(await agent.xml(id)).includes(ticket.password));
});

Deno.test("a display is closed before its first ticket, and a ticket expires by itself", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent } = hypervisor;
  const { id } = await startMachine(hypervisor);
  const xml = await hypervisor.virsh("dumpxml", id, "--security-info");
  const [port, password] = [
    Number(/<graphics [^>]*port='(\d+)'/.exec(xml)?.[1]),
    /passwd='([^']+)'/.exec(xml)?.[1] ?? "",
  ];
  assert.match(xml, /passwdValidTo='1970-/);
  await assert.rejects(SpiceViewer.connect({ host: "127.0.0.1", port, password }), SpiceLinkRefused);
  await assert.rejects(SpiceViewer.connect({ host: "127.0.0.1", port, password: "" }), SpiceLinkRefused);

  const ticket = await agent.ticket(id, { ttlSeconds: 5 });
  // QEMU counts whole seconds, twice.
  await new Promise((resolve) => setTimeout(resolve, ticket.expiresAt - Date.now() + 2_500));
  await assert.rejects(SpiceViewer.connect(ticket), SpiceLinkRefused);
});

Deno.test("a ticket for a display that takes no password is refused politely, and the next start closes it", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { agent, events } = hypervisor;
  const { id, name } = hypervisor.spec("adopted");
  const xml = `<domain type='qemu'><name>${name}</name><uuid>${id}</uuid><memory unit='MiB'>64</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type></os>
    <devices><graphics type='vnc' autoport='yes' listen='127.0.0.1'/></devices></domain>`;
  const path = `${hypervisor.dir}/adopted.xml`;
  await Deno.writeTextFile(path, xml);
  await hypervisor.virsh("define", path);
  await hypervisor.virsh("start", id);
  const foreign = await events.untilDomain(id, "is seen", ({ state }) => state === "running");
  assert.equal(foreign.managed, false);
  await assert.rejects(agent.ticket(id, { ttlSeconds: 30 }), { code: "conflict", message: /not managed/ });
  await assert.rejects(agent.power(id, { action: "destroy" }), { code: "conflict" });

  await hypervisor.virsh(
    ...["metadata", id, "https://kvm-vdi.org/xmlns/domain/1", "--key", "kvm-vdi", "--live", "--config"],
    ...["--set", "<machine role='simple' osType='linux' owned='no' imageVersion='0'/>"],
  );
  await events.untilDomain(id, "is managed", ({ managed }) => managed);
  await assert.rejects(agent.ticket(id, { ttlSeconds: 30 }), { code: "conflict", message: /no password/ });
  await agent.power(id, { action: "destroy" });
  await agent.power(id, { action: "start" });
  const ticket = await agent.ticket(id, { ttlSeconds: 30 });
  assert.equal(ticket.protocol, "vnc");
  assert.equal(ticket.password.length, 8);
});

Deno.test("displays listen for native viewers where the settings say so, from the machine's next start", async () => {
  await using libvirt = await OwnLibvirt.start({ ownNetwork: true });
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-", enter: libvirt.enter });
  const { agent } = hypervisor;
  const { id } = await startMachine(hypervisor);
  const listensOn = async (port: number) =>
    (await hypervisor.run("ss", "-Hltn", `sport = :${port}`)).trim().split(/\s+/)[3];
  const before = await agent.ticket(id, { ttlSeconds: 60 });
  assert.equal(before.direct ?? false, false);
  assert.equal(await listensOn(before.port), `127.0.0.1:${before.port}`);
  await agent.changeSettings({ displayListen: "all" });
  await agent.power(id, { action: "destroy" });
  await agent.power(id, { action: "start" });
  const direct = await agent.ticket(id, { ttlSeconds: 60 });
  assert.deepEqual(
    [direct.direct, direct.host],
    [true, "127.0.0.1"],
    "the gateway still comes by the loopback",
  );
  assert.equal(await listensOn(direct.port), `0.0.0.0:${direct.port}`);
  await agent.changeSettings({ displayListen: "loopback" });
  await agent.power(id, { action: "destroy" });
  await agent.power(id, { action: "start" });
  const { port } = await agent.ticket(id, { ttlSeconds: 60 });
  assert.equal(await listensOn(port), `127.0.0.1:${port}`);
});
