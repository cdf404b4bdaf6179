import { z } from "zod";
import { AbsolutePath } from "../contracts/common.ts";
import { AgentSettings, DomainTypeSetting } from "../contracts/hypervisor.ts";

/** Every address of the host, IPv6 and IPv4. */
export const anywhere = "::";

/** What an agent is started with. */
export const AgentConfig = z.object({
  socketPath: AbsolutePath.max(107, "a socket path has at most 107 characters"),
  stateDir: AbsolutePath,
  imageDir: AbsolutePath,
  isoDir: AbsolutePath,
  scratchDir: AbsolutePath,
  domainType: DomainTypeSetting,
  displayListen: AgentSettings.shape.displayListen,
  libvirtUri: z.string().regex(/^[a-z][a-z0-9+.-]*:\/\/\S*$/, "must be a libvirt URI, as qemu:///system"),
  transferAddress: z.string().default(anywhere).describe("listened on only while a file is received"),
});
export type AgentConfig = z.infer<typeof AgentConfig>;
