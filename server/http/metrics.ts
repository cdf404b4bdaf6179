import type { MiddlewareHandler } from "hono";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Overview } from "../../contracts/settings.ts";
import { version } from "../../lib/version.ts";
import type { App } from "../app.ts";
import type { Env } from "./endpoint.ts";

/** What /metrics tells, in Prometheus' text format. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<"method" | "route" | "status">;
  readonly #seconds: Histogram<"method" | "route">;

  constructor(app: Pick<App, "tickets">, eventClients: () => number, overview: () => Promise<Overview>) {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: "kvm_vdi_http_requests_total",
      help: "Requests answered",
      labelNames: ["method", "route", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "kvm_vdi_http_request_seconds",
      help: "Time to answer",
      labelNames: ["method", "route"],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2, 10],
      registers,
    });
    const gauge = (name: string, help: string, value: () => number | Promise<number>) =>
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set(await value());
        },
      });
    new Gauge({ name: "kvm_vdi_build_info", help: "The running release", labelNames: ["version"], registers })
      .set({ version }, 1);
    gauge("kvm_vdi_event_clients", "Open event streams", eventClients);
    gauge("kvm_vdi_display_channels", "Open display channels", () => app.tickets.openChannelCount);
    gauge("process_resident_memory_bytes", "Memory of the process", () => Deno.memoryUsage().rss);
    this.#overviewGauges(registers, overview);
  }

  #overviewGauges(registers: Registry[], overview: () => Promise<Overview>): void {
    const desktops = new Gauge({
      name: "kvm_vdi_desktops",
      help: "Desktops of all desktop pools by state",
      labelNames: ["state"],
      registers,
    });
    const jobs = new Gauge({ name: "kvm_vdi_failed_jobs_24h", help: "Jobs that failed lately", registers });
    const running = new Gauge({ name: "kvm_vdi_running_jobs", help: "Open jobs", registers });
    new Gauge({
      name: "kvm_vdi_machines",
      help: "Machines by whether they run",
      labelNames: ["state"],
      registers,
      async collect() {
        const now = await overview();
        this.set({ state: "running" }, now.machines.running);
        this.set({ state: "off" }, now.machines.total - now.machines.running);
        desktops.set({ state: "free" }, now.desktops.free);
        desktops.set({ state: "in-use" }, now.desktops.inUse);
        desktops.set({ state: "starting" }, now.desktops.starting);
        jobs.set(now.failedJobs24h);
        running.set(now.runningJobs);
      },
    });
  }

  /** Counts and times every request under its route, never under its path: paths have ids in them. */
  readonly measure: MiddlewareHandler<Env> = async (c, next) => {
    const start = performance.now();
    await next();
    const labels = { method: c.req.method, route: c.get("route") ?? "other" };
    this.#requests.inc({ ...labels, status: String(c.res.status) });
    this.#seconds.observe(labels, (performance.now() - start) / 1000);
  };

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
