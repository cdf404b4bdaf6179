/** Endpoints whose feature is being written; the list is empty, and this file gone, when it is done. */
import { AppError } from "../contracts/errors.ts";
import type { Handlers } from "./http/endpoint.ts";

const names = [
  "listImages",
  "getImage",
  "cancelRollout",
  "updateVersion",
  "deleteVersion",
  "sealVersion",
  "unsealVersion",
  "publishVersion",
  "distributeVersion",
] as const;

export const pendingRoutes = (): Handlers<typeof names[number]> =>
  Object.fromEntries(
    names.map((
      name,
    ) => [name, () => Promise.reject(new AppError("unavailable", `${name} is not there yet.`))]),
  ) as unknown as Handlers<typeof names[number]>;
