/** Spreads new machines over hypervisors, as a pure function. */

export interface SpreadTarget {
  id: string;
  /** So many such machines could run there at once, if nothing else did. */
  slots: number;
  /** Machines for users that are there already. */
  machines: number;
}

/**
 * Says for each of `count` machines where it goes: always to the hypervisor that is the least full with it, so that a
 * larger host gets more; the first one of equals. With no slots anywhere they are spread evenly.
 */
export function spread(count: number, targets: readonly SpreadTarget[]): string[] {
  const placed = targets.map(({ id, slots, machines }) => ({ id, slots, machines }));
  const hasSlots = placed.some(({ slots }) => slots > 0);
  const fullness = ({ slots, machines }: SpreadTarget) => hasSlots ? (machines + 1) / slots : machines + 1;
  return Array.from({ length: count }, () => {
    const best = placed.reduce((one, other) =>
      fullness(other) < fullness(one) || fullness(other) === fullness(one) && other.machines < one.machines
        ? other
        : one
    );
    best.machines++;
    return best.id;
  });
}
