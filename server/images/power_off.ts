import { errorInfoOf } from "../../contracts/errors.ts";
import type { JobItem } from "../../contracts/job.ts";
import { forEachOf } from "../../lib/for_each.ts";
import type { App } from "../app.ts";
import type { MachineRow } from "../db/schema.ts";
import type { LocalOperation } from "../jobs/service.ts";
import { command } from "../machines/command.ts";

const width = 8;

/** Switches off what runs, in a job that holds it, and returns what is off then; `add` is told what could not be. */
export async function powerOff(
  app: App,
  operation: LocalOperation,
  machines: readonly MachineRow[],
  add: (item: JobItem) => void,
): Promise<MachineRow[]> {
  const off: MachineRow[] = [];
  await forEachOf(machines, width, operation.signal, async (machine) => {
    const { id, name } = machine;
    const state = app.agents.domain(id, machine.hypervisor_id)?.domain.state;
    try {
      if (state !== "shut-off" && state !== "crashed") {
        operation.report({ stage: "powering off" });
        await command(app, machine, { action: "destroy" }, operation.signal);
      }
      off.push(machine);
    } catch (error) {
      operation.signal.throwIfAborted();
      add({ id, name, ok: false, message: `it could not be switched off: ${errorInfoOf(error).message}` });
    }
  });
  return off;
}
