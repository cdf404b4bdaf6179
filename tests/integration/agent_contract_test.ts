import { join } from "node:path";
import { run } from "../../lib/process.ts";
import { testAgentContract } from "../support/agent_contract.ts";
import { makeIso } from "../support/iso.ts";
import { TestHypervisor } from "../support/hypervisor.ts";

const demoGuest = new URL("../../scripts/demo_guest", import.meta.url).pathname;
const diskPath = (await run([demoGuest])).stdout.trim().split("\n").at(-1)!.replace(/^.*: /, "");

testAgentContract("agent on libvirt", async () => {
  const hypervisor = await TestHypervisor.start({ prefix: "contract-" });
  const isoPath = join(hypervisor.isoDir, "empty.iso");
  await Deno.writeFile(isoPath, makeIso());
  return {
    agent: hypervisor.agent,
    spec: (name, values) => hypervisor.spec(name, values),
    diskPath,
    isoPath,
    [Symbol.asyncDispose]: () => hypervisor[Symbol.asyncDispose](),
  };
});
