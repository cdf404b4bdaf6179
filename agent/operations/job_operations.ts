import type { JobOperations } from "../host.ts";
import { copyDisk } from "./copy_disk.ts";
import { copyImage } from "./copy_image.ts";
import { createMachine } from "./create_machine.ts";
import { createDataDisk } from "./data_disk.ts";
import { deleteMachine } from "./delete_machine.ts";
import { flatten } from "./flatten.ts";
import { populate } from "./populate.ts";
import { receiveImage } from "./receive_image.ts";
import { resizeDisk } from "./resize_disk.ts";
import { seal } from "./seal.ts";
import { sendImage } from "./send_image.ts";

/** What each kind of job does. */
export const jobOperations: JobOperations = {
  "create-machine": createMachine,
  "delete-machine": deleteMachine,
  "copy-disk": copyDisk,
  "populate": populate,
  "copy-image": copyImage,
  "seal": seal,
  "receive-image": receiveImage,
  "send-image": sendImage,
  "flatten": flatten,
  "resize-disk": resizeDisk,
  "create-data-disk": createDataDisk,
};
