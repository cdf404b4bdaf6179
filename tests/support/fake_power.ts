/** Switching the fake agent's machines on and off, with the real one's refusals. */
import type { Domain, PowerCommand } from "../../contracts/agent.ts";
import { AppError } from "../../contracts/errors.ts";
import type { PowerAction } from "../../contracts/machine.ts";
import type { FakeAgent } from "./fake_agent.ts";
import { firstDisk } from "./fake_domain.ts";

export class FakePower {
  readonly #asked = new Map<string, ReturnType<typeof setTimeout>[]>();

  constructor(private readonly agent: FakeAgent) {}

  /** Carries a command out; a guest that is asked to go down obeys later. */
  run(domain: Domain, command: Required<PowerCommand>): Domain {
    const { id } = domain;
    switch (command.action) {
      case "start":
        return this.#start(domain, command.virtualSnapshot);
      case "destroy":
        return isUp(domain) ? this.#stop(id, "destroyed") : domain;
      case "shutdown":
        if (!isUp(domain)) return domain;
        requireState(domain, "shut down", ["running"]);
        return this.#ask(domain, command);
      case "reboot":
        requireState(domain, "reboot", ["running"]);
        return this.#ask(domain, command);
      case "suspend":
        if (domain.state === "paused") return domain;
        requireState(domain, "suspend", ["running"]);
        return this.agent.change(id, { state: "paused", guestAgent: false });
      case "resume":
        if (domain.state === "running") return domain;
        requireState(domain, "resume", ["paused", "suspended"]);
        return this.agent.change(id, { state: "running" });
    }
  }

  #start(domain: Domain, virtualSnapshot: boolean): Domain {
    const { id, name, state } = domain;
    if (state === "paused" || state === "suspended") {
      throw new AppError("conflict", `Start ${name}: it is ${state}. Resume it instead.`);
    }
    if (isUp(domain)) {
      if (!virtualSnapshot || domain.virtualSnapshot) return domain;
      throw new AppError("conflict", `Start ${name} with a virtual snapshot: it runs without one already.`);
    }
    this.#requireBootable(domain, virtualSnapshot);
    const disk = firstDisk(domain);
    if (disk?.path != null && !virtualSnapshot) this.agent.files.write(disk.path);
    const started = this.agent.change(id, { state: "running", stateReason: "booted", virtualSnapshot });
    this.#boot(id);
    return started;
  }

  #requireBootable(domain: Domain, virtualSnapshot: boolean): void {
    const disk = firstDisk(domain);
    if (domain.role === "vdi" && disk?.backingPath == null) {
      throw new AppError("conflict", `Start ${domain.name}: it has no overlay yet. Populate it first.`);
    }
    if (disk?.path == null) return;
    const { files } = this.agent;
    if (disk.virtualBytes !== null) files.requireWhole(disk.path, `Start ${domain.name}`);
    if (virtualSnapshot) return;
    if (files.all.get(disk.path)?.sealed) {
      throw new AppError(
        "conflict",
        `Start ${domain.name}: this version is sealed. Copy the disk or reopen it.`,
      );
    }
    const clones = files.basedOn(disk.path);
    if (clones.length === 0) return;
    const names = clones.slice(0, 5).map(({ name }) => name).join(", ");
    throw new AppError("conflict", `Start ${domain.name}: its image is the base of ${names}.`);
  }

  #boot(id: string): void {
    if (this.agent.options.bootMs === null) return;
    this.agent.later(this.agent.options.bootMs, () => {
      const domain = this.agent.domains.get(id);
      if (domain?.state !== "running") return;
      const tail = Number.parseInt(id.slice(-4), 16);
      this.agent.change(id, { guestAgent: true, addresses: [`10.0.${tail >> 8}.${tail & 255}`] });
    });
  }

  #stop(id: string, stateReason: string): Domain {
    this.#forgetAsked(id);
    return this.agent.change(id, {
      state: "shut-off",
      stateReason,
      virtualSnapshot: false,
      guestAgent: false,
      addresses: [],
      viewers: [],
      pendingAction: null,
    });
  }

  #forgetAsked(id: string): void {
    for (const timer of this.#asked.get(id) ?? []) this.agent.dropTimer(timer);
    this.#asked.delete(id);
  }

  /** The guest obeys after a while, or the time is up. */
  #ask(domain: Domain, { action, timeoutSeconds, force }: Required<PowerCommand>): Domain {
    const { id } = domain;
    const asked = this.agent.change(id, { pendingAction: action });
    const { shutdownMs } = this.agent.options;
    const obey = shutdownMs === null ? [] : [this.agent.later(shutdownMs, () => this.#obey(id, action))];
    const giveUp = this.agent.later(timeoutSeconds * 1000, () => {
      if (this.agent.domains.get(id)?.pendingAction !== action) return;
      if (force) this.#obey(id, action);
      else this.agent.change(id, { pendingAction: null });
    });
    this.#asked.set(id, [...obey, giveUp]);
    return asked;
  }

  #obey(id: string, action: PowerAction): void {
    const domain = this.agent.domains.get(id);
    if (!domain || domain.pendingAction !== action) return;
    this.#forgetAsked(id);
    if (action === "shutdown") return void this.#stop(id, "shutdown");
    this.agent.change(id, { pendingAction: null, guestAgent: false });
    this.#boot(id);
  }
}

export const isUp = ({ state }: Domain) => state !== "shut-off" && state !== "crashed";

function requireState(domain: Domain, verb: string, states: Domain["state"][]): void {
  if (states.includes(domain.state)) return;
  throw new AppError("conflict", `Could not ${verb} ${domain.name}: it is ${domain.state}.`);
}
