import type { HostFacts } from "../contracts/hypervisor.ts";

export type ServiceManager = HostFacts["serviceManager"];

/** Who starts this process again when it ends. */
export function findServiceManager(): ServiceManager {
  if (Deno.args.includes("--exit-with-parent")) return "dashboard";
  const { INVOCATION_ID, SYSTEMD_EXEC_PID } = Deno.env.toObject();
  // Whatever a service starts inherits the first; the second says who is meant, since systemd 248.
  const isService = SYSTEMD_EXEC_PID === undefined
    ? INVOCATION_ID !== undefined && Deno.ppid === 1
    : SYSTEMD_EXEC_PID === String(Deno.pid);
  return isService ? "systemd" : "none";
}
