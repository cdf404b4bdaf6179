import { z } from "zod";
import type { Domain } from "../../contracts/agent.ts";
import type { Virsh } from "../libvirt/virsh.ts";

export interface Connection {
  /** The same for all channels of one viewer. */
  key: string;
  address: string;
  /** Its screen and input are connected, not only its first channel. */
  complete: boolean;
}

const SpiceChannels = z.object({
  channels: z.array(z.object({
    "host": z.string(),
    "port": z.string(),
    "connection-id": z.number(),
    "channel-type": z.number(),
  })).default([]),
});
const VncClients = z.object({
  clients: z.array(z.object({ host: z.string(), service: z.string() })).default([]),
});

const spiceMain = 1, spiceDisplay = 2, spiceInputs = 3;

/** Who looks at a running domain's display now, asked of its QEMU. */
export async function readConnections(virsh: Virsh, domain: Domain): Promise<Connection[]> {
  if (domain.displays.includes("spice")) {
    return parseSpice(await virsh.monitorCommand(domain.id, { execute: "query-spice" }));
  }
  if (domain.displays.includes("vnc")) {
    return parseVnc(await virsh.monitorCommand(domain.id, { execute: "query-vnc" }));
  }
  return [];
}

/** Parses QMP's `query-spice`: one entry a channel; channels of one viewer share a connection id. */
export function parseSpice(answer: unknown): Connection[] {
  const byConnection = Map.groupBy(
    SpiceChannels.parse(answer).channels,
    (channel) => channel["connection-id"],
  );
  return [...byConnection.values()].flatMap((channels) => {
    const main = channels.find((channel) => channel["channel-type"] === spiceMain);
    if (!main) return [];
    const types = channels.map((channel) => channel["channel-type"]);
    return [{
      key: String(main["connection-id"]),
      address: main.host,
      complete: types.includes(spiceDisplay) && types.includes(spiceInputs),
    }];
  });
}

/** Parses QMP's `query-vnc`. */
export const parseVnc = (answer: unknown): Connection[] =>
  VncClients.parse(answer).clients.map(({ host, service }) => ({
    key: `${host}:${service}`,
    address: host,
    complete: true,
  }));
