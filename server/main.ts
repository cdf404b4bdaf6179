import { X509Certificate } from "node:crypto";
import { AppError } from "../contracts/errors.ts";
import { defineMode, type ModeContext, untilAborted } from "../lib/cli.ts";
import { DashboardConfig } from "./config.ts";
import { startDashboard } from "./dashboard.ts";
import { supervise } from "./supervisor.ts";

export const command = defineMode({
  name: "dashboard",
  summary: "web interface, API and broker (one server)",
  options: DashboardConfig,
  helpFooter:
    `Started as root it only watches over the dashboard, which runs as --user, and over the agent with
--local-hypervisor.
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong options.`,
  async run(config, context) {
    if (Deno.uid() === 0) {
      if (config.exitWithParent) {
        throw new AppError("invalid", "The dashboard does not run as root: use --user.");
      }
      return await supervise(config, context);
    }
    await serve(config, context);
  },
});

/** Runs the dashboard in this process until it is told to stop. */
async function serve(config: DashboardConfig, { signal, log }: ModeContext): Promise<void> {
  // Database and backups hold password hashes.
  Deno.umask(0o077);
  const dashboard = await startDashboard({ config, log });
  if (dashboard.ca !== null) {
    const sha256 = new X509Certificate(dashboard.ca).fingerprint256;
    log.info({ sha256 }, "own certificate authority, as clients get it from /ca.pem");
  }
  const setup = dashboard.setupUrl === null ? "" : `  Setup: ${dashboard.setupUrl}`;
  console.log(`KVM-VDI is ready: ${dashboard.url}${setup}`);
  try {
    await Promise.race([untilAborted(signal), ...(config.exitWithParent ? [untilStdinEnds()] : [])]);
  } finally {
    await dashboard.close();
  }
}

/** A parent that dies closes our standard input, however it dies. */
async function untilStdinEnds(): Promise<void> {
  for await (const _ of Deno.stdin.readable) { /* nobody is expected to write */ }
}
