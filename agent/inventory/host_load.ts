import type { DomainLoad } from "../../contracts/agent.ts";
import type { HostLoad } from "../../contracts/hypervisor.ts";
import type { AgentConfig } from "../config.ts";
import { readStorage } from "./storage.ts";

interface CpuTimes {
  busy: number;
  total: number;
}

/** Measures the host and its domains; percentages are since the previous measurement. */
export class LoadMeter {
  #hostCpu: CpuTimes = { busy: 0, total: 0 };
  #domainCpu = new Map<string, { cpuNs: number; at: number }>();

  async readHost(config: Pick<AgentConfig, "imageDir" | "isoDir" | "scratchDir">): Promise<HostLoad> {
    const [stat, memory, storage] = await Promise.all([
      Deno.readTextFile("/proc/stat"),
      Deno.readTextFile("/proc/meminfo"),
      readStorage(config),
    ]);
    const before = this.#hostCpu;
    const now = this.#hostCpu = parseCpuTimes(stat);
    const { totalMiB, availableMiB } = parseMemory(memory);
    return {
      at: Date.now(),
      cpuPercent: percent(now.busy - before.busy, now.total - before.total),
      load1: Deno.loadavg()[0] ?? 0,
      memoryUsedMiB: totalMiB - availableMiB,
      storage,
    };
  }

  /** Loads from `domstats`, whose domains have names, not ids. */
  readDomains(
    stats: ReadonlyMap<string, ReadonlyMap<string, string>>,
    idOf: (name: string) => string | undefined,
    at = performance.now(),
  ): DomainLoad[] {
    const seen = new Map<string, { cpuNs: number; at: number }>();
    const loads = [...stats].flatMap(([name, values]) => {
      const id = idOf(name);
      if (id === undefined) return [];
      const before = this.#domainCpu.get(id);
      const cpuNs = Number(values.get("cpu.time") ?? 0);
      seen.set(id, { cpuNs, at });
      const availableNs = before ? (at - before.at) * 1e6 * Number(values.get("vcpu.current") ?? 1) : 0;
      const memoryKiB = usedKiB(values);
      return [{
        id,
        cpuPercent: before ? percent(cpuNs - before.cpuNs, availableNs) : 0,
        memoryUsedMiB: Math.round(memoryKiB / 1024),
      }];
    });
    this.#domainCpu = seen;
    return loads;
  }
}

/** What the machine takes from the host, without QEMU's own needs beyond the memory it was given. */
function usedKiB(values: ReadonlyMap<string, string>): number {
  const givenKiB = Number(values.get("balloon.current") ?? Infinity);
  const residentKiB = Number(values.get("balloon.rss") ?? givenKiB);
  const usedKiB = Math.min(givenKiB, residentKiB);
  return Number.isFinite(usedKiB) ? usedKiB : 0;
}

/** Between 0 and 100, with one decimal. */
function percent(part: number, whole: number): number {
  return whole > 0 ? Math.round(Math.min(Math.max(part / whole, 0), 1) * 1000) / 10 : 0;
}

export function parseCpuTimes(procStat: string): CpuTimes {
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    (/^cpu +(.*)$/m.exec(procStat)?.[1] ?? "").split(" ").map(Number);
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, total: busy + idle + iowait };
}

export function parseMemory(procMeminfo: string): { totalMiB: number; availableMiB: number } {
  const read = (key: string) =>
    Math.round(Number(new RegExp(`^${key}: +(\\d+) kB$`, "m").exec(procMeminfo)?.[1] ?? 0) / 1024);
  return { totalMiB: read("MemTotal"), availableMiB: read("MemAvailable") };
}
