/** What the dashboard is started with: flags > KVM_VDI_* environment > /etc/kvm-vdi/dashboard.toml > these defaults. */
import { z } from "zod";
import { AbsolutePath } from "../contracts/common.ts";
import { DomainTypeSetting } from "../contracts/hypervisor.ts";

export const defaultAgentSocket = "/run/kvm-vdi/agent.sock";

/** `HOST:PORT`, `[IPv6]:PORT` or `:PORT` (all addresses). */
export const Listen = z.string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*):\d{1,5}$/, "must be HOST:PORT, as 0.0.0.0:8443 or [::]:8443")
  .transform((text) => {
    const colon = text.lastIndexOf(":");
    const host = text.slice(0, colon).replace(/^\[|\]$/g, "");
    return { host: host === "" ? "0.0.0.0" : host, port: Number(text.slice(colon + 1)) };
  })
  .refine(({ port }) => port <= 65535, "the port must be at most 65535");

/** An origin, without path: `https://vdi.example.org`. */
export const PublicUrl = z.url({ protocol: /^https?$/, error: "must be an http or https URL" })
  .refine((text) => ["/", ""].includes(new URL(text).pathname), "must not have a path")
  .transform((text) => new URL(text).origin);

export const DashboardConfig = z.object({
  dataDir: AbsolutePath.default("/var/lib/kvm-vdi/dashboard").describe("database, certificates and backups"),
  listen: Listen.prefault("0.0.0.0:8443").describe("address and port, HOST:PORT; port 0 takes a free one"),
  viewerProxy: z.boolean().default(true).describe(
    "also listen for native viewers, which reach displays by a plain HTTP CONNECT with their ticket",
  ),
  viewerPort: z.int().min(1).max(65535).nullable().default(null).describe(
    "port of that, on the address of --listen (default: the next port)",
  ),
  publicUrl: PublicUrl.nullable().default(null).describe(
    "how browsers reach the dashboard, if not by its address",
  ),
  insecureHttp: z.boolean().default(false).describe(
    "plain HTTP, for use behind a reverse proxy that does TLS",
  ),
  trustProxy: z.boolean().default(false).describe(
    "believe X-Forwarded-For and X-Forwarded-Proto of the reverse proxy",
  ),
  certificateFile: AbsolutePath.nullable().default(null).describe(
    "own certificate chain (PEM) instead of the built-in CA",
  ),
  certificateKeyFile: AbsolutePath.nullable().default(null).describe("key (PEM) of the own certificate"),
  localHypervisor: z.boolean().default(false).describe(
    "also run the agent of this host (needs root, which the dashboard itself drops)",
  ),
  agentSocket: AbsolutePath.max(107, "a socket path has at most 107 characters").nullable().default(null)
    .describe(`socket of the agent on this host; with --local-hypervisor by default ${defaultAgentSocket}`),
  agentStateDir: AbsolutePath.nullable().default(null).describe("state directory of the local agent"),
  imageDir: AbsolutePath.nullable().default(null).describe("disk images of the local agent"),
  isoDir: AbsolutePath.nullable().default(null).describe("ISO images of the local agent"),
  scratchDir: AbsolutePath.nullable().default(null).describe("virtual snapshots of the local agent"),
  domainType: DomainTypeSetting.default("auto").describe("acceleration that the local agent uses"),
  libvirtUri: z.string().nullable().default(null).describe("libvirt that the local agent drives"),
  user: z.string().regex(/^[a-z_][a-z0-9_-]*$/, "must be a system user's name").default("kvm-vdi")
    .describe("system user to become when started as root"),
  exitWithParent: z.boolean().default(false).describe("end when standard input ends, as under a supervisor"),
}).refine((config) => (config.certificateFile === null) === (config.certificateKeyFile === null), {
  path: ["certificateKeyFile"],
  message: "certificateFile and certificateKeyFile go together",
});
export type DashboardConfig = z.output<typeof DashboardConfig>;

/** The socket of this host's agent, if there is to be one. */
export const localAgentSocket = (config: Pick<DashboardConfig, "agentSocket" | "localHypervisor">) =>
  config.agentSocket ?? (config.localHypervisor ? defaultAgentSocket : null);
