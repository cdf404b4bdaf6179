import type { HostFacts } from "../contracts/hypervisor.ts";

export type ServiceManager = HostFacts["serviceManager"];

export interface Circumstances {
  args: readonly string[];
  env: Record<string, string | undefined>;
  pid: number;
  parentPid: number;
}

const ownCircumstances = (): Circumstances => ({
  args: Deno.args,
  env: Deno.env.toObject(),
  pid: Deno.pid,
  parentPid: Deno.ppid,
});

/** Who starts this process again when it ends. */
export function findServiceManager(
  { args, env, pid, parentPid }: Circumstances = ownCircumstances(),
): ServiceManager {
  if (args.includes("--exit-with-parent")) return "dashboard";
  const { INVOCATION_ID, SYSTEMD_EXEC_PID } = env;
  // Whatever a service starts inherits the first; the second says who is meant, since systemd 248.
  const isService = SYSTEMD_EXEC_PID === undefined
    ? INVOCATION_ID !== undefined && parentPid === 1
    : SYSTEMD_EXEC_PID === String(pid);
  return isService ? "systemd" : "none";
}
