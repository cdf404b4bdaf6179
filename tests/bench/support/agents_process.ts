/**
 * Fake hypervisors in a process of their own, each on its socket. Usage: agents_process.ts PLAN.json
 * The plan: [{ socketPath, domains: [{ id, name, running }], backingPath }]. Prints "ready" and serves until its
 * standard input ends.
 */
import { serveAgent } from "../../support/agent_server.ts";
import { FakeAgent } from "../../support/fake_agent.ts";
import { fakeDisk, imageDir } from "../../support/fake_domain.ts";

export interface AgentPlan {
  socketPath: string;
  domains: { id: string; name: string; running: boolean }[];
  /** Image below every overlay. */
  backingPath: string;
  /** Sends load figures this often; 0: never. */
  loadMs: number;
  /** Changes one of its domains this often, which then has the time as its address; 0: never. */
  changeMs: number;
}

if (import.meta.main) await serve(JSON.parse(await Deno.readTextFile(Deno.args[0]!)));

async function serve(plan: AgentPlan[]): Promise<void> {
  await using stack = new AsyncDisposableStack();
  for (const { socketPath, domains, backingPath, loadMs, changeMs } of plan) {
    const agent = stack.use(new FakeAgent());
    for (const { id, name, running } of domains) {
      const disks = [fakeDisk(`${imageDir}/${name}.qcow2`, 2 ** 30, backingPath)];
      agent.addDomain({
        id,
        name,
        role: "vdi",
        disks,
        state: running ? "running" : "shut-off",
        guestAgent: running,
      });
    }
    if (loadMs > 0) {
      const timer = setInterval(() => agent.sendLoad(10 + Math.random() * 20), loadMs);
      stack.defer(() => clearInterval(timer));
    }
    if (changeMs > 0) {
      const timer = setInterval(() => {
        const { id } = domains[Math.floor(Math.random() * domains.length)]!;
        agent.change(id, { addresses: [String(Date.now())] });
      }, changeMs);
      stack.defer(() => clearInterval(timer));
    }
    stack.use(await serveAgent(agent, socketPath));
  }
  console.log("ready");
  for await (const _ of Deno.stdin.readable) { /* ends with whoever started us */ }
}
