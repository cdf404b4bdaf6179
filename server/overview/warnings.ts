/** What admins are warned of, as declared data: each warning says what is wrong and links to its remedy. */
import type { z } from "zod";
import type { DesktopPool } from "../../contracts/desktop_pool.ts";
import type { Hypervisor } from "../../contracts/hypervisor.ts";
import type { Warning as WarningSchema } from "../../contracts/settings.ts";

export type Warning = z.output<typeof WarningSchema>;

export interface WarningFacts {
  hypervisors: Hypervisor[];
  desktopPools: DesktopPool[];
  failedJobs24h: number;
  /** Unix ms; null over plain HTTP. */
  certificateExpiresAt: number | null;
  now: number;
}

type Check = (facts: WarningFacts) => Warning[];

const dayMs = 86_400_000;
const GiB = 1024 ** 3;

const checks: Check[] = [
  hypervisorStates,
  outdatedAgents,
  lowDisks,
  brokenDesktops,
  fullHypervisors,
  drained,
  failedJobs,
  expiringCertificate,
];
const order = { danger: 0, warning: 1, info: 2 } as const;

/** Every warning that holds now, the gravest first. */
export function findWarnings(facts: WarningFacts): Warning[] {
  return checks.flatMap((check) => check(facts)).sort((a, b) => order[a.severity] - order[b.severity]);
}

function hypervisorStates({ hypervisors }: WarningFacts): Warning[] {
  return hypervisors.filter(({ state }) => state !== "online").map(({ id, name, state, stateReason }) => ({
    id: `hypervisor-${state}:${id}`,
    severity: state === "offline" ? "danger" : "warning",
    message: `Hypervisor ${name} is ${state}${stateReason ? `: ${stateReason}` : "."}`,
    link: `/hypervisors/${id}`,
  }));
}

function outdatedAgents({ hypervisors }: WarningFacts): Warning[] {
  return hypervisors.filter(({ agentOutdated }) => agentOutdated).map(({ id, name, agentVersion }) => ({
    id: `agent-outdated:${id}`,
    severity: "info",
    message: `The agent of ${name} (${agentVersion ?? "unknown version"}) is not this dashboard's release.`,
    link: `/hypervisors/${id}`,
  }));
}

/** Below a tenth and 20 GiB it gets tight; below 3 % or 2 GiB writes will soon fail. */
function lowDisks({ hypervisors }: WarningFacts): Warning[] {
  return hypervisors.flatMap(({ id, name, load }) =>
    (load?.storage ?? []).flatMap(({ path, freeBytes, totalBytes }): Warning[] => {
      const share = totalBytes > 0 ? freeBytes / totalBytes : 1;
      const nearlyFull = share < 0.03 || freeBytes < 2 * GiB;
      if (!nearlyFull && (share >= 0.1 || freeBytes >= 20 * GiB)) return [];
      return [{
        id: `disk-low:${id}:${path}`,
        severity: nearlyFull ? "danger" : "warning",
        message: `${name} has ${
          (freeBytes / GiB).toFixed(1)
        } GiB left in ${path}. Delete images, or add storage.`,
        link: `/hypervisors/${id}`,
      }];
    })
  );
}

function brokenDesktops({ desktopPools }: WarningFacts): Warning[] {
  return desktopPools.filter(({ enabled, counts }) => enabled && counts.broken > 0).map((
    { id, name, counts },
  ) => ({
    id: `desktops-broken:${id}`,
    severity: "warning",
    message:
      `${counts.broken} of ${counts.total} desktops in ${name} cannot be used: not populated, crashed, ` +
      `or on a hypervisor that is offline.`,
    link: `/desktop-pools/${id}`,
  }));
}

function fullHypervisors({ desktopPools }: WarningFacts): Warning[] {
  return desktopPools.filter(({ enabled, counts }) => enabled && counts.full > 0 && counts.free === 0).map((
    { id, name, counts },
  ) => ({
    id: `desktops-full:${id}`,
    severity: "warning",
    message:
      `${name} has no free desktop: ${counts.full} are off, and their hypervisors have no room for them. ` +
      "Change the capacity of the hypervisors, or add one.",
    link: `/desktop-pools/${id}`,
  }));
}

function drained({ hypervisors }: WarningFacts): Warning[] {
  return hypervisors.filter(({ drain }) => drain?.sessionsLeft === 0 && drain.runningLeft === 0).map((
    { id, name },
  ) => ({
    id: `hypervisor-drained:${id}`,
    severity: "info",
    message: `${name} is empty: it can be worked on now. End its maintenance afterwards.`,
    link: `/hypervisors/${id}`,
  }));
}

function failedJobs({ failedJobs24h }: WarningFacts): Warning[] {
  if (failedJobs24h === 0) return [];
  return [{
    id: "jobs-failed",
    severity: "warning",
    message: `${failedJobs24h} ${failedJobs24h === 1 ? "job" : "jobs"} failed in the last 24 hours.`,
    link: "/jobs?state=failed",
  }];
}

function expiringCertificate({ certificateExpiresAt, now }: WarningFacts): Warning[] {
  if (certificateExpiresAt === null || certificateExpiresAt - now > 21 * dayMs) return [];
  const days = Math.floor((certificateExpiresAt - now) / dayMs);
  return [{
    id: "certificate-expiring",
    severity: days < 3 ? "danger" : "warning",
    message: days < 0
      ? "The dashboard's certificate has expired. Replace its files."
      : `The dashboard's certificate expires in ${days} ${days === 1 ? "day" : "days"}. Replace its files.`,
    link: "/settings",
  }];
}
