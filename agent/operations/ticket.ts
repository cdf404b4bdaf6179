import type { DisplayTicket } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Host } from "../host.ts";
import type { Connection } from "../inventory/viewers.ts";
import { hasDisplayPassword } from "../libvirt/display_state.ts";
import { graphicsElement, readDomain } from "../libvirt/domain_xml.ts";
import { requireDomain } from "./start_machine.ts";

/** A viewer opens its channels one after another; this long after the main ones, all that it wants are open. */
const settleMs = 2_000;

interface OpenTicket {
  /** Connections from before the ticket: theirs is another ticket. */
  before: ReadonlySet<string>;
  closing?: ReturnType<typeof setTimeout>;
}

/**
 * One-time display passwords, set on the running domain. One opens the display until it expires or its viewer is
 * connected, whichever comes first. The password goes through standard input and into the answer, nowhere else.
 */
export class Tickets {
  readonly #open = new Map<string, OpenTicket>();
  readonly #connections = new Map<string, Connection[]>();

  constructor(private readonly host: Host) {}

  /** @throws {AppError} `conflict` when the machine does not run or its display takes no passwords. */
  async issue(id: string, ttlSeconds: number, signal?: AbortSignal): Promise<DisplayTicket> {
    const domain = await requireDomain(this.host, id);
    if (domain.state !== "running") {
      throw new AppError(
        "conflict",
        `Open the display of ${domain.name}: it is ${domain.state}. Start it first.`,
      );
    }
    const xml = await this.host.virsh.dumpXml(id, { securityInfo: true, signal });
    const display = requireDisplay(xml, domain.name);
    const password = randomPassword(display.protocol);
    const expiresAt = Math.ceil(Date.now() / 1000 + ttlSeconds) * 1000;
    this.forget(id);
    await this.#set(id, xml, { password, expiresAt, connected: "keep" }, signal);
    const before = new Set((this.#connections.get(id) ?? []).map(({ key }) => key));
    this.#open.set(id, { before });
    return { ...display, password, expiresAt };
  }

  /** Closes every display connection and the display itself. */
  async kick(id: string, signal?: AbortSignal): Promise<void> {
    const domain = await requireDomain(this.host, id);
    if (domain.displays.length === 0 || (domain.state !== "running" && domain.state !== "paused")) return;
    this.forget(id);
    await this.#close(id, "disconnect", signal);
  }

  /** The display's connections have changed: once a new viewer is complete, its ticket ends. */
  connectionsChanged(id: string, connections: Connection[]): void {
    this.#connections.set(id, connections);
    const ticket = this.#open.get(id);
    if (
      !ticket || ticket.closing ||
      !connections.some(({ key, complete }) => complete && !ticket.before.has(key))
    ) return;
    ticket.closing = setTimeout(() => {
      this.#open.delete(id);
      this.#close(id, "keep").catch((error) =>
        this.host.log.warn(
          { err: error, machineId: id },
          "a display could not be closed; it expires by itself",
        )
      );
    }, settleMs);
  }

  /** The machine's QEMU has ended, or another ticket takes over. */
  forget(id: string): void {
    clearTimeout(this.#open.get(id)?.closing);
    this.#open.delete(id);
  }

  stop(): void {
    for (const id of [...this.#open.keys()]) this.forget(id);
  }

  async #close(id: string, connected: "keep" | "disconnect", signal?: AbortSignal): Promise<void> {
    const xml = await this.host.virsh.dumpXml(id, { securityInfo: true, signal });
    const password = randomPassword(requireDisplay(xml, id).protocol);
    await this.#set(id, xml, { password, expiresAt: null, connected }, signal);
  }

  async #set(
    id: string,
    xml: string,
    access: Parameters<typeof graphicsElement>[1],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    using _lock = await this.host.locks.hold([`display of ${id}`], {
      purpose: "its display is being set",
      signal,
    });
    await this.host.virsh.updateDevice(id, graphicsElement(xml, access), { live: true, signal });
  }
}

/** The display that tickets are for: SPICE, else VNC, as `graphicsElement` chooses. */
function requireDisplay(xml: string, name: string) {
  const { displays } = readDomain(xml);
  const display = displays.find(({ protocol }) => protocol === "spice") ?? displays[0];
  if (!display) {
    throw new AppError("conflict", `Open the display of ${name}: it has no SPICE or VNC display.`);
  }
  if (display.port === null) {
    throw new AppError("conflict", `Open the display of ${name}: it does not listen on a port.`);
  }
  if (!hasDisplayPassword(xml)) {
    throw new AppError(
      "conflict",
      `Open the display of ${name}: it was started with a display that takes no password. ` +
        "Shut it down and start it again here.",
    );
  }
  const everywhere = display.address === null || display.address === "0.0.0.0" || display.address === "::";
  return {
    protocol: display.protocol,
    port: display.port,
    host: everywhere ? "127.0.0.1" : display.address!,
    // Without an address libvirt has QEMU listen on the loopback.
    direct: display.address !== null && !/^(127\.|::1$|localhost$)/.test(display.address),
  };
}

/** VNC takes 8 characters at most. */
function randomPassword(protocol: "spice" | "vnc"): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  const password = bytes.toBase64({ alphabet: "base64url" });
  return protocol === "vnc" ? password.slice(0, 8) : password;
}
