import { join } from "node:path";
import { z } from "zod";
import { AbsolutePath } from "../contracts/common.ts";
import { AgentSettings, DomainTypeSetting } from "../contracts/hypervisor.ts";
import { AppError, invalidInput } from "../contracts/errors.ts";
import { defineMode, untilAborted } from "../lib/cli.ts";
import { Agent } from "./agent.ts";
import { AgentConfig, anywhere } from "./config.ts";
import { startDetached } from "../lib/process.ts";
import { findServiceManager } from "./service_manager.ts";
import { install, uninstall } from "./install/install.ts";

const options = z.object({
  socket: z.string().default("/run/kvm-vdi/agent.sock").describe("unix socket of the API, for group kvm-vdi"),
  stateDir: AbsolutePath.default("/var/lib/kvm-vdi").describe("jobs, settings, and the directories below"),
  imageDir: AbsolutePath.optional().describe("disk images (default: STATE-DIR/images)"),
  isoDir: AbsolutePath.optional().describe("ISO images to install from (default: STATE-DIR/iso)"),
  scratchDir: AbsolutePath.optional().describe(
    "writes of virtual snapshots, dropped at power off (default: STATE-DIR/scratch)",
  ),
  domainType: DomainTypeSetting.default("auto").describe("acceleration; auto boots a probe guest under KVM"),
  displayListen: AgentSettings.shape.displayListen.default("loopback").describe(
    "where displays listen; all: native viewers can reach them without the gateway, unencrypted",
  ),
  connect: z.string().default("qemu:///system").describe("libvirt's URI"),
  transferAddress: z.string().default(anywhere).describe(
    "address of this host where other hypervisors send images to, while one is received",
  ),
  exitWithParent: z.boolean().default(false).describe("end when standard input ends"),
  install: z.boolean().default(false).describe(
    "install this executable as a service of this host, with the options given, then exit",
  ),
  authorizedKey: z.array(z.string()).default([]).describe(
    "with --install: public SSH key of a dashboard that may use the agent",
  ),
  installPackages: z.boolean().default(false).describe(
    "with --install: have apt-get install libvirt and QEMU if they are missing",
  ),
  uninstall: z.boolean().default(false).describe("stop and remove the service; machines and images stay"),
});
type Options = z.output<typeof options>;

export const command = defineMode({
  name: "agent",
  summary: "drives libvirt and QEMU (every hypervisor)",
  options,
  helpFooter:
    `Directories and domain type can also be changed in the dashboard. What was changed there is kept in
STATE-DIR/settings.json and wins over all of these.
Exit codes: 0 stopped by SIGTERM or SIGINT, installed or uninstalled, 1 failed, 2 wrong options.`,
  async run(options, { signal, log }) {
    if (options.install || options.uninstall) return await changeHost(options);
    const agent = await Agent.start(configOf(options), log);
    log.info({ socket: options.socket, ...agent.hello }, "agent is ready");
    const { restartWanted, command } = agent.executable;
    let restarts = false;
    await Promise.race([
      untilAborted(signal),
      restartWanted.then(() => restarts = true),
      ...(options.exitWithParent ? [untilStdinEnds()] : []),
    ]);
    await agent.stop();
    log.info(restarts ? "agent restarts" : "agent has stopped");
    // systemd starts it again by itself.
    if (restarts && findServiceManager() === "none") startDetached(command, null);
  },
});

async function changeHost(given: Options): Promise<void> {
  if (given.install && given.uninstall) {
    throw new AppError("invalid", "--install and --uninstall: give one of them.");
  }
  const say = (text: string) => console.log(text);
  if (given.uninstall) return await uninstall(given.socket, say);
  const { socketPath } = configOf(given);
  const { authorizedKey: authorizedKeys, installPackages } = given;
  await install({ authorizedKeys, installPackages, socketPath, settings: settingsToKeep(given), say });
}

/** What goes into agent.toml: everything that is not the default. */
function settingsToKeep(given: Options): Record<string, string> {
  const defaults = options.parse({});
  const { socket, stateDir, imageDir, isoDir, scratchDir, domainType, connect, transferAddress } = given;
  const settings = {
    ...(socket !== defaults.socket && { "socket": socket }),
    ...(stateDir !== defaults.stateDir && { "state-dir": stateDir }),
    ...(imageDir !== undefined && { "image-dir": imageDir }),
    ...(isoDir !== undefined && { "iso-dir": isoDir }),
    ...(scratchDir !== undefined && { "scratch-dir": scratchDir }),
    ...(domainType !== defaults.domainType && { "domain-type": domainType }),
    ...(given.displayListen !== defaults.displayListen && { "display-listen": given.displayListen }),
    ...(connect !== defaults.connect && { "connect": connect }),
    ...(transferAddress !== defaults.transferAddress && { "transfer-address": transferAddress }),
  };
  return settings;
}

function configOf(given: Options): AgentConfig {
  const config = AgentConfig.safeParse({
    socketPath: given.socket,
    stateDir: given.stateDir,
    imageDir: given.imageDir ?? join(given.stateDir, "images"),
    isoDir: given.isoDir ?? join(given.stateDir, "iso"),
    scratchDir: given.scratchDir ?? join(given.stateDir, "scratch"),
    domainType: given.domainType,
    displayListen: given.displayListen,
    libvirtUri: given.connect,
    transferAddress: given.transferAddress,
  });
  if (!config.success) throw invalidInput("The agent's options", config.error);
  return config.data;
}

/** A parent that dies closes our standard input, however it dies. */
async function untilStdinEnds(): Promise<void> {
  for await (const _ of Deno.stdin.readable) { /* nobody is expected to write */ }
}
