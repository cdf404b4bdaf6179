import { setTimeout as delay } from "node:timers/promises";
import type { Domain, PowerCommand } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { PowerAction } from "../../contracts/machine.ts";
import type { Host } from "../host.ts";
import { dropScratch, hasScratch } from "./scratch.ts";
import { isUp, requireDomain, startMachine } from "./start_machine.ts";

type Command = Required<PowerCommand>;

/** A guest that is booting ignores its power button: it is pressed again. */
const askAgainMs = 8_000;

/** Switches machines on and off, and knows which were asked to go down and which must come up again. */
export class Power {
  /** Machines whose guest was asked to go down; aborted once it is. */
  readonly #asked = new Map<string, AbortController>();
  /** Machines on a virtual snapshot that start again, afresh, when they are off. */
  readonly #restart = new Set<string>();
  readonly #tasks = new Set<Promise<void>>();

  constructor(private readonly host: Host) {}

  /**
   * Carries out a power command; `shutdown` and `reboot` return once the guest was asked. Asking for what is
   * already so is fine.
   * @throws {AppError} `conflict` when the machine's state does not allow it or a job holds it.
   */
  async run(id: string, command: Command, signal?: AbortSignal): Promise<Domain> {
    const { host } = this;
    using _lock = await host.locks.hold([id], { purpose: "its power is being switched", signal });
    const domain = await requireDomain(host, id);
    await this.#act(domain, command, signal);
    return await host.domains.refresh(id) ?? domain;
  }

  /** The machine is off. One on a virtual snapshot loses its scratch file, and starts afresh after a reboot. */
  async stopped(id: string, cause: string | undefined): Promise<void> {
    this.#settle(id);
    const restart = this.#restart.delete(id) || cause === "guest-reset";
    if (!await hasScratch(this.host, id)) return;
    using _lock = await this.host.locks.hold([id], { purpose: "its scratch file is being dropped" });
    const domain = await this.host.domains.refresh(id);
    if (domain && isUp(domain)) return;
    await dropScratch(this.host, id);
    if (!domain || !restart) return;
    await startMachine(this.host, id, { virtualSnapshot: true });
    this.host.log.info({ machineId: id }, "started again on a fresh scratch file after its reboot");
  }

  /** The guest has rebooted by itself. */
  rebooted(id: string): void {
    this.#settle(id);
  }

  /** Forgets who was asked to go down; for the agent's end. */
  async stop(): Promise<void> {
    for (const asked of this.#asked.values()) asked.abort();
    await Promise.all(this.#tasks);
  }

  async #act(domain: Domain, command: Command, signal: AbortSignal | undefined): Promise<void> {
    const { virsh } = this.host;
    const { id } = domain;
    switch (command.action) {
      case "start":
        return await startMachine(this.host, id, { virtualSnapshot: command.virtualSnapshot, signal });
      case "shutdown":
        if (!isUp(domain)) return;
        requireState(domain, "shutdown", ["running"]);
        this.#restart.delete(id);
        return await this.#ask(id, command);
      case "reboot":
        requireState(domain, "reboot", ["running"]);
        if (domain.virtualSnapshot) this.#restart.add(id);
        return await this.#ask(id, command);
      case "destroy":
        this.#restart.delete(id);
        return isUp(domain) ? await virsh.destroy(id, { signal }) : undefined;
      case "suspend":
        if (domain.state === "paused") return;
        requireState(domain, "suspend", ["running"]);
        return await virsh.suspend(id, { signal });
      case "resume":
        if (domain.state === "running") return;
        requireState(domain, "resume", ["paused", "suspended"]);
        return domain.state === "paused"
          ? await virsh.resume(id, { signal })
          : await virsh.wake(id, { signal });
    }
  }

  /** Asks the guest to go down, now and again until it is or the time is up. The first time is awaited. */
  async #ask(id: string, { action, timeoutSeconds, force }: Command): Promise<void> {
    const { domains, log } = this.host;
    this.#asked.get(id)?.abort();
    const asked = new AbortController();
    this.#asked.set(id, asked);
    domains.setPendingAction(id, action);
    try {
      await this.#press(id, action);
    } catch (error) {
      this.#settle(id);
      this.#restart.delete(id);
      throw error;
    }
    const task = this.#waitUntilDown(id, action, timeoutSeconds * 1000, force, asked.signal)
      .catch((error) => log.error({ err: error, machineId: id }, `${action} failed`))
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** libvirt's own reboot resets the guest inside the same QEMU, which would keep a scratch file. */
  #press(id: string, action: PowerAction): Promise<void> {
    const { virsh } = this.host;
    return action === "reboot" && !this.#restart.has(id) ? virsh.reboot(id) : virsh.shutdown(id);
  }

  async #waitUntilDown(
    id: string,
    action: PowerAction,
    timeoutMs: number,
    force: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (let left = timeoutMs; left > 0; left = deadline - Date.now()) {
      await delay(Math.min(left, askAgainMs), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const powerButton = action === "shutdown" || this.#restart.has(id);
      if (powerButton && Date.now() + 500 < deadline) await this.#press(id, action);
    }
    const { domains, log, virsh } = this.host;
    log.info({ machineId: id, force }, `the guest did not ${action} in time`);
    this.#asked.delete(id);
    domains.setPendingAction(id, null);
    if (!force) return void this.#restart.delete(id);
    return action === "reboot" && !this.#restart.has(id) ? await virsh.reset(id) : await virsh.destroy(id);
  }

  #settle(id: string): void {
    this.#asked.get(id)?.abort();
    this.#asked.delete(id);
    this.host.domains.setPendingAction(id, null);
  }
}

function requireState(domain: Domain, action: PowerAction, states: Domain["state"][]): void {
  if (states.includes(domain.state)) return;
  const verb = { shutdown: "shut down", destroy: "switch off" }[action as string] ?? action;
  throw new AppError("conflict", `Could not ${verb} ${domain.name}: it is ${domain.state}.`);
}
