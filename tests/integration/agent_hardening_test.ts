import assert from "node:assert/strict";
import { join } from "node:path";
import { probeKvm } from "../../agent/operations/probe_acceleration.ts";
import { TestHypervisor } from "../support/hypervisor.ts";

Deno.test("the agent's socket is for its owner and group only, and ids are checked (defect 6)", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { mode } = await Deno.stat(hypervisor.socketPath);
  assert.equal((mode ?? 0) & 0o777, 0o660);
  const path = encodeURIComponent("x; touch /tmp/owned");
  await assert.rejects(hypervisor.agent.power(path, { action: "start" }), { code: "invalid" });
  await assert.rejects(hypervisor.agent.xml("--help"), { code: "invalid" });
});

Deno.test("a domain with a hostile name is seen as it is and harms nothing (defects 1, 6)", async () => {
  await using hypervisor = await TestHypervisor.start({ prefix: "a1-" });
  const { events } = hypervisor;
  const { id } = hypervisor.spec("hostile");
  const name = `a1-'; $(id) "--all': Stopped Destroyed ${id.slice(0, 4)}`;
  const escaped = name.replaceAll("&", "&amp;").replaceAll("'", "&apos;").replaceAll('"', "&quot;");
  const xml = `<domain type='qemu'><name>${escaped}</name><uuid>${id}</uuid><memory unit='MiB'>64</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`;
  const path = join(hypervisor.dir, "hostile.xml");
  await Deno.writeTextFile(path, xml);
  await hypervisor.virsh("define", path);
  await events.untilDomain(id, "is defined", (domain) => domain.name === name);
  await hypervisor.virsh("start", id);
  await events.untilDomain(id, "runs", ({ state }) => state === "running");
  await hypervisor.virsh("destroy", id);
  await events.untilDomain(id, "is off", ({ state }) => state === "shut-off");
});

Deno.test("probeKvm() believes a guest that ran, not a device that exists", async () => {
  assert.equal((await probeKvm({ device: "/dev/nowhere" })).state, "absent");
  // Emulation stands in for a KVM that works, an accelerator that QEMU does not have for one that does not.
  assert.equal((await probeKvm({ device: "/dev/null", accelerator: "tcg" })).state, "works");
  const broken = await probeKvm({ device: "/dev/null", accelerator: "hax" });
  assert.equal(broken.state, "broken");
  assert.match(broken.detail, /did not run/);
});
