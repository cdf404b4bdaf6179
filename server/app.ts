/** What every feature of the dashboard gets. Wiring only: server/main.ts builds it, tests build it with a fake agent. */
import type { AgentConnections } from "./agents/connections.ts";
import type { OwnKeys } from "./agents/ssh/own_keys.ts";
import type { Broker } from "./broker/broker.ts";
import type { Bus } from "./bus.ts";
import type { DashboardConfig } from "./config.ts";
import type { Db } from "./db/schema.ts";
import type { Tickets } from "./gateway/tickets.ts";
import type { Room } from "./hypervisors/room.ts";
import type { Rollouts } from "./images/rollouts.ts";
import type { Jobs } from "./jobs/service.ts";
import type { Leases } from "./leases/leases.ts";
import type { SettingsCache } from "./settings/service.ts";
import type { PoolKeeper } from "./starts/pool_keeper.ts";
import type { Starts } from "./starts/starts.ts";
import type { Passwords } from "./users/passwords.ts";
import type { Sessions } from "./users/sessions.ts";
import type { SignInGuard } from "./users/sign_in_guard.ts";
import type { Logger } from "../lib/log.ts";

export interface App {
  config: DashboardConfig;
  log: Logger;
  db: Db;
  bus: Bus;
  /** Unix ms; tests move it. */
  now(): number;
  settings: SettingsCache;
  agents: AgentConnections;
  /** By which hypervisors on other hosts let the dashboard in. */
  ownKeys: OwnKeys;
  jobs: Jobs;
  /** What is given away on each hypervisor; follows the agents. */
  room: Room;
  /** new Broker(app), after agents and jobs; close() at the end. */
  broker: Broker;
  /** Paces every start of a machine; after broker, stop() before the agents'. */
  starts: Starts;
  /** new Leases(app), after broker and before jobs.recover(); then start(), and stop() before jobs.stop(). */
  leases: Leases;
  /** new Rollouts(app), after leases; start() after jobs.recover(), close() before jobs.stop(). */
  rollouts: Rollouts;
  /** After leases; start() once they are, stop() before starts. */
  poolKeeper: PoolKeeper;
  tickets: Tickets;
  /** Where native viewers send their CONNECT; null: nowhere. Known once the dashboard listens. */
  viewerPort: number | null;
  sessions: Sessions;
  passwords: Passwords;
  signInGuard: SignInGuard;
  /** Unix ms; null over plain HTTP. */
  certificateExpiresAt(): number | null;
  /** Aborted when the dashboard shuts down. */
  signal: AbortSignal;
}

/** Who asks, for audit and for rights. */
export interface Actor {
  id: string;
  username: string;
  role: "admin" | "operator" | "user";
  address: string | null;
}
