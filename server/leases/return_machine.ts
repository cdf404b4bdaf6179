/**
 * What becomes of a machine after its lease: a job on it, begun before the lease ends, so that nobody gets the machine
 * before it is done. It goes on after a restart, and waits for a hypervisor that is offline.
 */
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { Id } from "../../contracts/common.ts";
import { AppError } from "../../contracts/errors.ts";
import type { Actor, App } from "../app.ts";
import type { LocalOperation } from "../jobs/service.ts";
import { powerMachine, resetMachine } from "../machines/power.ts";
import { setMaintenance } from "../machines/service.ts";
import type { LeaseDetail } from "./store.ts";

type AfterLease = "nothing" | "shutdown" | "reset";
const Input = z.object({ action: z.enum(["shutdown", "reset"]), hypervisorId: Id });

/** How long a guest may take to shut down before it is switched off. */
const shutdownSeconds = 120;
const retryMs = 1_000;

/** What the pool's policy and the machine's virtual snapshot ask for. */
export function actionAfter({ machine, policy }: Pick<LeaseDetail, "machine" | "policy">): AfterLease {
  if (!machine) return "nothing";
  const wanted = machine.virtualSnapshot ? "reset" : policy?.afterUse ?? "keep";
  if (wanted === "keep") return "nothing";
  // A machine that is off has dropped its virtual snapshot; its overlay is another matter.
  const isOff = machine.state === "shut-off";
  if (machine.virtualSnapshot) return isOff ? "nothing" : "reset";
  // There is no image to go back to.
  if (wanted === "reset" && machine.role === "vdi") return "reset";
  return isOff ? "nothing" : "shutdown";
}

/** Begins what must be done with the machine; false when nothing must. */
export async function beginReturn(app: App, lease: LeaseDetail, by: Actor | null): Promise<boolean> {
  const action = actionAfter(lease);
  const { machine } = lease;
  if (action === "nothing" || !machine) return false;
  await app.jobs.start({
    kind: "reset-desktop",
    subject: { id: machine.id, name: machine.name },
    by,
    input: { action, hypervisorId: machine.hypervisorId },
    progress: { stage: action === "reset" ? "resetting" : "shutting down" },
  });
  return true;
}

/** Says what `reset-desktop` jobs do. */
export function defineReturn(app: App): void {
  app.jobs.define("reset-desktop", { resumable: true, run: (operation) => returnMachine(app, operation) });
}

async function returnMachine(app: App, operation: LocalOperation): Promise<void> {
  const { action, hypervisorId } = Input.parse(operation.input);
  const machineId = operation.job.subjectId!;
  for (;;) {
    try {
      if (action === "reset") return await resetMachine(app, machineId, operation);
      return await shutDown(app, machineId, operation.signal);
    } catch (error) {
      if (operation.signal.aborted) throw error;
      if (error instanceof AppError && error.code === "unavailable") {
        operation.report({ stage: "waiting for the hypervisor" });
        await wait(retryMs, null, { signal: operation.signal });
        await untilUsable(app, hypervisorId, operation.signal);
        continue;
      }
      if (action === "reset") await withdraw(app, machineId, error);
      throw error;
    }
  }
}

async function shutDown(app: App, machineId: string, signal: AbortSignal): Promise<void> {
  await powerMachine(
    app,
    machineId,
    { action: "shutdown", timeoutSeconds: shutdownSeconds, force: true },
    null,
  );
  await app.agents.waitForDomain(machineId, ({ domain }) => domain.state === "shut-off", signal);
}

/** A machine that still holds somebody's work is not given to the next user. */
async function withdraw(app: App, machineId: string, error: unknown): Promise<void> {
  app.log.error({ err: error, machineId }, "a desktop could not be reset; it is in maintenance now");
  await setMaintenance(app, machineId, true, null);
}

function untilUsable(app: App, hypervisorId: string, signal: AbortSignal): Promise<void> {
  if (app.agents.status(hypervisorId).state === "online") return Promise.resolve();
  return new Promise((resolve, reject) => {
    const abort = () => finish(() => reject(signal.reason));
    const unlisten = app.agents.listen(() => {
      if (app.agents.status(hypervisorId).state === "online") finish(resolve);
    });
    const finish = (then: () => void) => {
      unlisten();
      signal.removeEventListener("abort", abort);
      then();
    };
    signal.addEventListener("abort", abort, { once: true });
  });
}
