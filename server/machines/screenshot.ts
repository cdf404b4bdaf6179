/** Screens of machines, shared by all who look: one picture every so often, however many thumbnails there are. */
import { AppError } from "../../contracts/errors.ts";
import type { App } from "../app.ts";
import { requireMachine } from "./service.ts";

const freshMs = 2000;

interface Shot {
  takenAt: number;
  png: Promise<Uint8Array<ArrayBuffer>>;
}

/** Takes pictures through the agents; those that fail are not kept. */
export class Screenshots {
  #shots = new Map<string, Shot>();

  constructor(private readonly app: App) {}

  /** @throws {AppError} `conflict` unless the machine is on. */
  async of(id: string): Promise<Uint8Array<ArrayBuffer>> {
    const kept = this.#shots.get(id);
    if (kept && this.app.now() - kept.takenAt < freshMs) return await kept.png;
    const machine = await requireMachine(this.app, id);
    const agent = this.app.agents.of(machine.hypervisor_id);
    const state = this.app.agents.domain(id, machine.hypervisor_id)?.domain.state ?? "unknown";
    if (state !== "running" && state !== "paused") {
      throw new AppError("conflict", `${machine.name} has no screen: it is ${state}.`);
    }
    const again = this.#shots.get(id);
    if (again && this.app.now() - again.takenAt < freshMs) return await again.png;
    return await this.#take(id, agent.screenshot(id));
  }

  async #take(id: string, png: Shot["png"]): Promise<Uint8Array<ArrayBuffer>> {
    const shot = { takenAt: this.app.now(), png };
    for (const [other, { takenAt }] of this.#shots) {
      if (shot.takenAt - takenAt >= freshMs) this.#shots.delete(other);
    }
    this.#shots.set(id, shot);
    try {
      return await png;
    } catch (error) {
      if (this.#shots.get(id) === shot) this.#shots.delete(id);
      throw error;
    }
  }
}
