import type { Host } from "../host.ts";
import { type Connection, readConnections } from "../inventory/viewers.ts";
import type { LibvirtEvent } from "../libvirt/event_lines.ts";
import type { Power } from "../operations/power.ts";
import { isUp } from "../operations/start_machine.ts";
import type { Tickets } from "../operations/ticket.ts";
import type { EventHub } from "./hub.ts";

/** The two event streams are two processes: the reason of an end may come this much later than the end. */
const causeWaitMs = 1_000;

/** What the agent does when libvirt tells something: read the domain again, then see to its consequences. */
export class Reactions {
  readonly #causes = new Map<string, PromiseWithResolvers<string>>();
  /** Of each domain: its viewers by connection. */
  readonly #connections = new Map<string, Map<string, { address: string; since: number }>>();
  /** Looks at displays that are under way; a look asked for meanwhile follows once. */
  readonly #looking = new Map<string, { again: boolean }>();

  constructor(
    private readonly host: Host,
    private readonly hub: EventHub,
    private readonly power: Power,
    private readonly tickets: Tickets,
  ) {}

  /** Never throws: what fails is logged, and libvirt's next event or the next resync corrects it. */
  handle(event: LibvirtEvent): void {
    this.#handle(event).catch((error) => {
      this.host.log.warn({ err: error, event }, "reacting to an event of libvirt failed");
    });
  }

  /** Reads who is connected to a running domain's display, and tells what has changed. */
  async lookAtDisplay(id: string): Promise<void> {
    const under = this.#looking.get(id);
    if (under) return void (under.again = true);
    const look = { again: true };
    this.#looking.set(id, look);
    try {
      while (look.again) {
        look.again = false;
        const domain = this.host.domains.get(id);
        const running = domain && (domain.state === "running" || domain.state === "paused");
        this.#noteConnections(id, running ? await readConnections(this.host.virsh, domain) : []);
      }
    } finally {
      this.#looking.delete(id);
    }
  }

  /** Asks the guest's agent, else the network's leases, for its addresses. */
  async lookUpAddresses(id: string): Promise<void> {
    const { domains, log, virsh } = this.host;
    const domain = domains.get(id);
    if (domain?.state !== "running") return;
    const told = domain.guestAgent && await virsh.addresses(id, "agent").catch((error) => {
      log.debug({ err: error, machineId: id }, "the guest agent does not tell its addresses");
      return [];
    });
    const addresses = told && told.length > 0 ? told : await virsh.addresses(id, "lease");
    if (addresses.length > 0) domains.setAddresses(id, addresses);
  }

  async #handle(event: LibvirtEvent): Promise<void> {
    if (event.type === "shutdown-cause") return this.#causeOf(event.name).resolve(event.cause);
    if (event.type === "lifecycle" && event.event === "Started") this.#causes.delete(event.name);
    const id = await this.#find(event);
    if (id === undefined) return;
    switch (event.type) {
      case "lifecycle":
        return await this.#lifecycle(id, event.name, event.event, event.detail);
      case "graphics":
        return await this.lookAtDisplay(id);
      case "agent-lifecycle":
        return event.connected ? await this.lookUpAddresses(id) : undefined;
      case "rebooted":
        return this.power.rebooted(id);
      case "changed":
        return;
    }
  }

  /** The id of the event's domain, which has just been read again. */
  async #find({ type, name }: LibvirtEvent): Promise<string | undefined> {
    const { domains } = this.host;
    const known = domains.byName(name);
    if (known) {
      if (type !== "graphics") await domains.refresh(known.id);
      return known.id;
    }
    await domains.sync();
    if (!domains.byName(name)) await domains.sync({ everything: true });
    return domains.byName(name)?.id;
  }

  async #lifecycle(id: string, name: string, event: string, detail: string): Promise<void> {
    if (event !== "Stopped" && event !== "Crashed") return;
    this.tickets.forget(id);
    this.#noteConnections(id, []);
    const cause = detail === "Shutdown" ? await this.#waitForCause(name) : undefined;
    this.#causes.delete(name);
    const domain = this.host.domains.get(id);
    if (!domain || !isUp(domain)) await this.power.stopped(id, cause);
  }

  #causeOf(name: string): PromiseWithResolvers<string> {
    return this.#causes.getOrInsertComputed(name, () => Promise.withResolvers());
  }

  async #waitForCause(name: string): Promise<string | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) =>
      timer = setTimeout(() => resolve(undefined), causeWaitMs)
    );
    try {
      return await Promise.race([this.#causeOf(name).promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #noteConnections(id: string, connections: Connection[]): void {
    const { domains } = this.host;
    const known = this.#connections.get(id) ?? new Map<string, { address: string; since: number }>();
    const now = Date.now();
    const current = new Map(
      connections.map(({ key, address }) => [key, known.get(key) ?? { address, since: now }]),
    );
    for (const [key, { address }] of current) {
      if (!known.has(key)) this.hub.emit({ type: "display", id, event: "connected", address });
    }
    for (const [key, { address }] of known) {
      if (!current.has(key)) this.hub.emit({ type: "display", id, event: "disconnected", address });
    }
    if (current.size > 0) this.#connections.set(id, current);
    else this.#connections.delete(id);
    domains.setViewers(id, [...current.values()]);
    this.tickets.connectionsChanged(id, connections);
  }
}
