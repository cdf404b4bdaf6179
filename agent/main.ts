import { join } from "node:path";
import { z } from "zod";
import { AbsolutePath } from "../contracts/common.ts";
import { DomainTypeSetting } from "../contracts/hypervisor.ts";
import { invalidInput } from "../contracts/errors.ts";
import { defineMode, untilAborted } from "../lib/cli.ts";
import { Agent } from "./agent.ts";
import { AgentConfig } from "./config.ts";

const options = z.object({
  socket: z.string().default("/run/kvm-vdi/agent.sock").describe("unix socket of the API, for group kvm-vdi"),
  stateDir: AbsolutePath.default("/var/lib/kvm-vdi").describe("jobs, and the directories below"),
  imageDir: AbsolutePath.optional().describe("disk images (default: STATE-DIR/images)"),
  isoDir: AbsolutePath.optional().describe("ISO images to install from (default: STATE-DIR/iso)"),
  scratchDir: AbsolutePath.optional().describe(
    "writes of virtual snapshots, dropped at power off (default: STATE-DIR/scratch)",
  ),
  domainType: DomainTypeSetting.default("auto").describe("acceleration; auto boots a probe guest under KVM"),
  connect: z.string().default("qemu:///system").describe("libvirt's URI"),
  exitWithParent: z.boolean().default(false).describe("end when standard input ends"),
});

export const command = defineMode({
  name: "agent",
  summary: "drives libvirt and QEMU (every hypervisor)",
  options,
  helpFooter: `Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong options.`,
  async run(options, { signal, log }) {
    const agent = await Agent.start(configOf(options), log);
    log.info({ socket: options.socket, ...agent.hello }, "agent is ready");
    await Promise.race([untilAborted(signal), ...(options.exitWithParent ? [untilStdinEnds()] : [])]);
    await agent.stop();
    log.info("agent has stopped");
  },
});

function configOf(given: z.output<typeof options>): AgentConfig {
  const config = AgentConfig.safeParse({
    socketPath: given.socket,
    stateDir: given.stateDir,
    imageDir: given.imageDir ?? join(given.stateDir, "images"),
    isoDir: given.isoDir ?? join(given.stateDir, "iso"),
    scratchDir: given.scratchDir ?? join(given.stateDir, "scratch"),
    domainType: given.domainType,
    libvirtUri: given.connect,
  });
  if (!config.success) throw invalidInput("The agent's options", config.error);
  return config.data;
}

/** A parent that dies closes our standard input, however it dies. */
async function untilStdinEnds(): Promise<void> {
  for await (const _ of Deno.stdin.readable) { /* nobody is expected to write */ }
}
