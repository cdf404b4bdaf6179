import { z } from "zod";
import { AppError } from "../contracts/errors.ts";
import { defineMode } from "../lib/cli.ts";

export const command = defineMode({
  name: "dashboard",
  summary: "web interface, API and broker (one server)",
  options: z.object({}),
  run() {
    return Promise.reject(new AppError("unavailable", "This mode is not part of this build yet."));
  },
});
