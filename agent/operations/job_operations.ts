import { AppError } from "../../contracts/errors.ts";
import type { JobOperations } from "../host.ts";
import { copyDisk } from "./copy_disk.ts";
import { createMachine } from "./create_machine.ts";
import { createDataDisk } from "./data_disk.ts";
import { deleteMachine } from "./delete_machine.ts";
import { flatten } from "./flatten.ts";
import { populate } from "./populate.ts";
import { resizeDisk } from "./resize_disk.ts";

/** Kinds that nobody has written yet; whoever does removes it from here. */
const pending = {
  run: () => Promise.reject(new AppError("unavailable", "This agent cannot do that yet. Update it.")),
  recover: () => Promise.resolve(),
};

/** What each kind of job does. */
export const jobOperations: JobOperations = {
  "create-machine": createMachine,
  "delete-machine": deleteMachine,
  "copy-disk": copyDisk,
  "populate": populate,
  "copy-image": pending,
  "seal": pending,
  "receive-image": pending,
  "send-image": pending,
  "flatten": flatten,
  "resize-disk": resizeDisk,
  "create-data-disk": createDataDisk,
};
