/** The command table. Each mode is one lazy literal import: a client never loads the dashboard's code. */
import { runCli } from "./lib/cli.ts";

runCli([
  {
    name: "dashboard",
    summary: "web interface, API and broker (one server)",
    load: async () => (await import("./server/main.ts")).command,
  },
  {
    name: "agent",
    summary: "drives libvirt and QEMU (every hypervisor)",
    load: async () => (await import("./agent/main.ts")).command,
  },
  {
    name: "client",
    summary: "signs in and shows a desktop full screen (thin clients)",
    load: async () => (await import("./client/main.ts")).command,
  },
  {
    name: "version",
    summary: "print version, commit and runtime",
    load: async () => (await import("./lib/version_mode.ts")).command,
  },
], Deno.args).then((exitCode) => Deno.exit(exitCode));
