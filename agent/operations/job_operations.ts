import type { JobOperations } from "../host.ts";
import { copyDisk } from "./copy_disk.ts";
import { createMachine } from "./create_machine.ts";
import { deleteMachine } from "./delete_machine.ts";
import { populate } from "./populate.ts";

/** What each kind of job does. */
export const jobOperations: JobOperations = {
  "create-machine": createMachine,
  "delete-machine": deleteMachine,
  "copy-disk": copyDisk,
  "populate": populate,
};
