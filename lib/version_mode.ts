import { z } from "zod";
import { defineMode } from "./cli.ts";
import { readCommit, runtime, version } from "./version.ts";

export const command = defineMode({
  name: "version",
  summary: "print version, commit and runtime",
  options: z.object({}),
  async run() {
    console.log(`kvm-vdi ${version}\ncommit  ${await readCommit()}\nruntime ${runtime}`);
  },
});
