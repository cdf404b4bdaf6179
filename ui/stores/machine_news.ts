import type { Machine } from "../../contracts/machine.ts";

/** What decides where a machine appears in a list; its load does not. */
const placeOf = ({ name, role, state, hypervisorId, sourceId, desktopPools, lease }: Machine) =>
  JSON.stringify([name, role, state, hypervisorId, sourceId, lease?.id, desktopPools.map((pool) => pool.id)]);

/**
 * Tells whether an event about a machine that is not on the page may have changed the page: running machines report
 * their load all the time, and that must not load the list again.
 */
export class MachineNews {
  readonly #places = new Map<string, string>();
  readonly #placeOf: (machine: Machine) => string;

  /** `place` picks what matters to the page, if it is something else than where a list shows the machine. */
  constructor(place: (machine: Machine) => string = placeOf) {
    this.#placeOf = place;
  }

  isNews(machine: Machine): boolean {
    const place = this.#placeOf(machine);
    if (this.#places.get(machine.id) === place) return false;
    this.#places.set(machine.id, place);
    return true;
  }
}
