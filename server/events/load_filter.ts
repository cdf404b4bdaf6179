import type { Machine } from "../../contracts/machine.ts";

/** Changes that nobody would see in a table are not worth sending. */
const cpuSteps = 3;
const memoryStepMiB = 32;

/** Remembers what load of each machine was told last. */
export class LoadFilter {
  readonly #told = new Map<string, { cpu: number; memoryMiB: number }>();

  note({ id, cpuPercent, memoryUsedMiB }: Pick<Machine, "id" | "cpuPercent" | "memoryUsedMiB">): void {
    if (cpuPercent === null) this.#told.delete(id);
    else this.#told.set(id, { cpu: cpuPercent, memoryMiB: memoryUsedMiB ?? 0 });
  }

  /** Whether the figures differ visibly from those told last; then they count as told. */
  isNews(machine: Pick<Machine, "id" | "cpuPercent" | "memoryUsedMiB">): boolean {
    const told = this.#told.get(machine.id);
    const same = told !== undefined && machine.cpuPercent !== null &&
      Math.abs(told.cpu - machine.cpuPercent) < cpuSteps &&
      Math.abs(told.memoryMiB - (machine.memoryUsedMiB ?? 0)) < memoryStepMiB;
    if (!same) this.note(machine);
    return !same;
  }
}
