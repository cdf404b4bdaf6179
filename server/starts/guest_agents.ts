/** Which machines have a guest agent, so that nobody waits for one that does not exist. */
import type { App } from "../app.ts";
import { readClones } from "./store.ts";

export interface BootTimes {
  /**
   * How long a guest that is known to have a guest agent may take to connect it before it counts as up anyway; and how
   * long any guest counts as booting, for whoever is to boot after it.
   */
  withAgentMs: number;
  /** How long after its start a guest without an agent counts as up: its boot can be watched. */
  withoutAgentMs: number;
  /** A second of the setting `desktopStartSeconds`; tests make it shorter. */
  secondMs: number;
}
export const defaultBootTimes: BootTimes = { withAgentMs: 20_000, withoutAgentMs: 3_000, secondMs: 1_000 };

export class GuestAgents {
  #seen = new Set<string>();
  readonly close: () => void;

  constructor(private readonly app: Pick<App, "agents" | "db">) {
    this.close = app.agents.listen((change) => {
      if (change.type !== "domains") return;
      for (const id of change.ids) {
        if (app.agents.domain(id, change.hypervisorId)?.domain.guestAgent) this.#seen.add(id);
      }
    });
  }

  /** Whether the machine, or another clone of its image, has had a guest agent. */
  async expectedOn(machineId: string): Promise<boolean> {
    return this.#seen.has(machineId) ||
      (await readClones(this.app.db, machineId)).some((id) => this.#seen.has(id));
  }
}
