/**
 * Who may boot next on one hypervisor, without clocks and promises: whoever waits for a desktop first, then warm spares,
 * then mass starts; in the order of arrival within each.
 */

export const priorities = ["user", "spare", "mass"] as const;
export type StartPriority = (typeof priorities)[number];

export interface Pace {
  /** Machines that may boot at once. */
  maxStarting: number;
  /** Busier than this, only users' machines are started. */
  startCpuPercent: number;
  cpuPercent: number;
}

export class StartQueue {
  #waiting = new Map<string, StartPriority>();
  #starting = new Set<string>();

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#starting.size === 0;
  }

  get startingCount(): number {
    return this.#starting.size;
  }

  /** Queues a start, or moves a waiting one up when somebody more urgent wants it too. */
  enter(id: string, priority: StartPriority): void {
    const known = this.#waiting.get(id);
    if (known !== undefined && priorities.indexOf(known) <= priorities.indexOf(priority)) return;
    this.#waiting.delete(id);
    this.#waiting.set(id, priority);
  }

  /** Has it wait or boot no more; its slot is free. */
  leave(id: string): void {
    this.#waiting.delete(id);
    this.#starting.delete(id);
  }

  isStarting(id: string): boolean {
    return this.#starting.has(id);
  }

  /** Ids in the order in which they will start. */
  inOrder(): string[] {
    return priorities.flatMap((priority) =>
      [...this.#waiting].filter(([, other]) => other === priority).map(([id]) => id)
    );
  }

  /** How many start before it; null when it does not wait. */
  placeOf(id: string): number | null {
    const own = this.#waiting.get(id);
    if (own === undefined) return null;
    const rank = priorities.indexOf(own);
    let before = 0;
    let passed = false;
    for (const [other, priority] of this.#waiting) {
      if (other === id) passed = true;
      else if (priorities.indexOf(priority) < rank || !passed && priority === own) before++;
    }
    return before;
  }

  /** Those that may start now; they hold their slots until they leave. */
  take({ maxStarting, startCpuPercent, cpuPercent }: Pace): string[] {
    const busy = cpuPercent > startCpuPercent;
    const taken = this.inOrder()
      .filter((id) => !busy || this.#waiting.get(id) === "user")
      .slice(0, Math.max(0, maxStarting - this.#starting.size));
    for (const id of taken) {
      this.#waiting.delete(id);
      this.#starting.add(id);
    }
    return taken;
  }
}
