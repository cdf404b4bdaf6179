import { z } from "zod";
import { AppError } from "../contracts/errors.ts";
import { defineMode } from "../lib/cli.ts";

export const command = defineMode({
  name: "client",
  summary: "signs in and shows a desktop full screen (thin clients)",
  options: z.object({}),
  run() {
    return Promise.reject(new AppError("unavailable", "This mode is not part of this build yet."));
  },
});
