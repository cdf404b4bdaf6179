import type { DashboardConfig } from "../config.ts";

/** Every name and address under which this host may be reached: what the certificate must cover. */
export async function ownNames(config: Pick<DashboardConfig, "publicUrl" | "listen">): Promise<string[]> {
  const hostname = Deno.hostname();
  const names = new Set(["localhost", "127.0.0.1", "::1", hostname, ...await hostsAliases(hostname)]);
  for (const { address } of ownAddresses()) names.add(address);
  if (!isWildcard(config.listen.host)) names.add(config.listen.host);
  if (config.publicUrl !== null) names.add(new URL(config.publicUrl).hostname.replace(/^\[|\]$/g, ""));
  return [...names].map((name) => name.toLowerCase()).filter((name) => name !== "");
}

export const isAddress = (name: string) => /^[0-9.]+$/.test(name) || name.includes(":");

export const isWildcard = (host: string) => host === "0.0.0.0" || host === "::";

/** Addresses of this host that others can use: no loopback, no link-local ones. */
export function ownAddresses(): Deno.NetworkInterfaceInfo[] {
  return Deno.networkInterfaces().filter(({ address }) =>
    !address.startsWith("127.") && address !== "::1" && !address.startsWith("fe80:") &&
    !address.startsWith("169.254.")
  );
}

/** The names that /etc/hosts gives to this host besides its own, such as the one with the domain. */
async function hostsAliases(hostname: string): Promise<string[]> {
  const hosts = await Deno.readTextFile("/etc/hosts").catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  const lines = hosts.split("\n").map((line) => line.replace(/#.*/, "").trim().split(/\s+/).slice(1));
  return lines.filter((names) => names.includes(hostname)).flat().filter((name) =>
    /^[A-Za-z0-9.-]+$/.test(name)
  );
}

/** How people reach the dashboard: the configured address, else the one it listens on, else the host's first. */
export function dashboardUrl(
  config: Pick<DashboardConfig, "publicUrl" | "listen" | "insecureHttp">,
  port: number,
): string {
  if (config.publicUrl !== null) return config.publicUrl;
  const { host } = config.listen;
  const reachable = isWildcard(host)
    ? ownAddresses().find(({ family }) => family === "IPv4")?.address ?? ownAddresses()[0]?.address ??
      "localhost"
    : host;
  const scheme = config.insecureHttp ? "http" : "https";
  const suffix = port === (config.insecureHttp ? 80 : 443) ? "" : `:${port}`;
  return `${scheme}://${reachable.includes(":") ? `[${reachable}]` : reachable}${suffix}`;
}
