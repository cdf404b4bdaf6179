/** Wiring: makes the whole dashboard out of its configuration, and takes it down again in reverse. */
import type { Agent } from "../contracts/agent.ts";
import type { Logger } from "../lib/log.ts";
import { migrations } from "../migrations/index.ts";
import { type AgentAddress, type ConnectAgent, connectAgent, directLink } from "./agents/agent_link.ts";
import { AgentConnections, type AgentConnectionsOptions } from "./agents/connections.ts";
import { OwnKeys } from "./agents/ssh/own_keys.ts";
import type { App } from "./app.ts";
import { Broker } from "./broker/broker.ts";
import { Bus } from "./bus.ts";
import { type DashboardConfig, localAgentSocket } from "./config.ts";
import { type DataDir, openDataDir } from "./data_dir.ts";
import { backupDaily, backupPath } from "./db/backup.ts";
import { migrate } from "./db/migrate.ts";
import { type OpenDatabase, openDatabase } from "./db/open.ts";
import type { Db } from "./db/schema.ts";
import { dataDiskHypervisor } from "./data_disks/service.ts";
import { EventHub, type HubTimes } from "./events/hub.ts";
import { eventSources } from "./events/sources.ts";
import { Tickets } from "./gateway/tickets.ts";
import { allHandlers, defineJobs, plainRoutes } from "./features.ts";
import { CertificateSource } from "./http/certificates.ts";
import { startListener } from "./http/listener.ts";
import { Metrics } from "./http/metrics.ts";
import { dashboardUrl } from "./http/own_names.ts";
import { createRouter } from "./http/router.ts";
import { ensureLocalHypervisor } from "./hypervisors/create.ts";
import { addressOf, listHypervisorRows } from "./hypervisors/service.ts";
import { followDrains } from "./hypervisors/drain.ts";
import { recordLoad } from "./hypervisors/load_history.ts";
import { Room } from "./hypervisors/room.ts";
import { followImages } from "./images/follow.ts";
import { collectVersions } from "./images/gc.ts";
import { Rollouts } from "./images/rollouts.ts";
import { Jobs } from "./jobs/service.ts";
import { Leases } from "./leases/leases.ts";
import type { BootTimes } from "./starts/guest_agents.ts";
import { PoolKeeper } from "./starts/pool_keeper.ts";
import { Starts } from "./starts/starts.ts";
import { followDomains } from "./machines/live.ts";
import { readOverview } from "./overview/service.ts";
import { SettingsCache } from "./settings/service.ts";
import { makeSetupToken } from "./setup/service.ts";
import { Passwords } from "./users/passwords.ts";
import { Sessions } from "./users/sessions.ts";
import { SignInGuard } from "./users/sign_in_guard.ts";

export interface DashboardOptions {
  config: DashboardConfig;
  log: Logger;
  /** For tests: an agent that is reached otherwise than by its address; null: as every other. */
  connect?(address: AgentAddress): Agent | null;
  now?: () => number;
  agentTimes?: AgentConnectionsOptions["times"];
  bootTimes?: BootTimes;
  eventTimes?: Partial<HubTimes>;
}

export interface Dashboard {
  app: App;
  /** As people reach it, without a slash at the end. */
  url: string;
  port: number;
  /** The one-time link to make the first admin; null when there is one. */
  setupUrl: string | null;
  /** PEM of the own CA, for clients that check the certificate. */
  ca: string | null;
  /** Drains: no new requests, consoles told, jobs left for the next start. */
  close(): Promise<void>;
}

const upkeepMs = 3_600_000;

/** Opens everything, starts to listen, and returns once the dashboard can be used. */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { config } = options;
  await using started = new AsyncDisposableStack();
  const dataDir = started.use(await openDataDir(config.dataDir));
  const database = started.adopt(await openMigrated(dataDir, options), ({ close }) => close());
  const certificate = await CertificateSource.open(
    config,
    dataDir.certificateFolder,
    options.now ?? Date.now,
  );
  const stop = new AbortController();
  const app = await createApp(
    options,
    database.db,
    await OwnKeys.open(dataDir.sshFolder, Deno.hostname()),
    () => certificate.current?.expiresAt ?? null,
    stop.signal,
  );
  startFeatures(app, options, started);
  const hub = started.adopt(new EventHub(app, eventSources(app), options.eventTimes), (hub) => hub.close());

  let port = config.listen.port;
  const url = () => dashboardUrl(config, port);
  const router = createRouter(app, {
    handlers: allHandlers(app),
    plain: plainRoutes(app),
    hub,
    metrics: new Metrics(app, () => hub.clientCount, () => readOverview(app)),
    ca: () => certificate.current?.ca ?? null,
    url,
  });
  await takeUp(app);
  const listener = await startListener(
    app,
    (request, env) => router.fetch(request, env),
    certificate.current,
  );
  started.defer(() => listener.close());
  port = listener.port;
  app.viewerPort = listener.viewerPort;
  started.use(keepUp(app, async () => {
    await app.sessions.dropExpired();
    await collectVersions(app);
    await backupDaily(database.sqlite, dataDir.backupFolder, app.now());
    if (await certificate.renew()) listener.renew(certificate.current!);
  }));
  const setupToken = await makeSetupToken(app);
  const running = started.move();
  return {
    app,
    url: url(),
    port,
    setupUrl: setupToken && `${url()}/setup?token=${setupToken}`,
    ca: certificate.current?.ca ?? null,
    close: async () => {
      stop.abort(new DOMException("The dashboard is shutting down.", "AbortError"));
      await running.disposeAsync();
    },
  };
}

async function openMigrated(
  dataDir: DataDir,
  { log, now = Date.now }: DashboardOptions,
): Promise<OpenDatabase> {
  const database = openDatabase(dataDir.databasePath);
  try {
    const copy = (version: number) => backupPath(dataDir.backupFolder, `schema-${version}`, now());
    const { from, to, backupPath: path } = await migrate(database.sqlite, migrations, copy);
    if (from !== to) log.info({ from, to, backup: path }, "database schema brought up to date");
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function createApp(
  { config, log, connect, now = Date.now, agentTimes }: DashboardOptions,
  db: Db,
  ownKeys: OwnKeys,
  certificateExpiresAt: () => number | null,
  signal: AbortSignal,
): Promise<App> {
  const bus = new Bus((error) => log.error({ err: error }, "a listener to changes failed"));
  const settings = await SettingsCache.load(db);
  const agents = new AgentConnections({
    connect: connectWith(connect, ownKeys),
    log,
    now,
    times: agentTimes,
  });
  const jobs = new Jobs({ db, bus, agents, log, now });
  const room = new Room(agents);
  const limits = () => {
    const { lockoutAttempts, lockoutMinutes } = settings.current();
    return { attempts: lockoutAttempts, lockMs: lockoutMinutes * 60_000 };
  };
  return {
    config,
    log,
    db,
    bus,
    now,
    settings,
    agents,
    ownKeys,
    jobs,
    room,
    broker: new Broker(
      { db, bus, agents, jobs, now, log, room },
      (userId) => dataDiskHypervisor({ db }, userId),
    ),
    tickets: new Tickets(now),
    viewerPort: null,
    sessions: new Sessions(db, now),
    passwords: new Passwords(),
    signInGuard: await SignInGuard.load(db, now, limits),
    certificateExpiresAt,
    signal,
    // These need the whole app; startFeatures() makes them before anybody else sees it.
  } satisfies Omit<App, "leases" | "starts" | "rollouts" | "poolKeeper"> as App;
}

function connectWith(otherwise: DashboardOptions["connect"], ownKeys: OwnKeys): ConnectAgent {
  const connect = connectAgent(ownKeys);
  return (address, signal) => {
    const agent = otherwise?.(address) ?? null;
    return agent ? Promise.resolve(directLink(agent)) : connect(address, signal);
  };
}

/** Starts what follows agents and the bus. Nothing connects yet. */
function startFeatures(app: App, options: DashboardOptions, started: AsyncDisposableStack): void {
  started.defer(() => app.passwords.close());
  started.defer(() => app.broker.close());
  started.defer(() => app.room.close());
  started.defer(() => app.agents.stop());
  app.starts = started.adopt(new Starts(app, options.bootTimes), (starts) => starts.stop());
  started.defer(() => app.jobs.stop());
  started.defer(followDomains(app));
  defineJobs(app);
  app.leases = started.adopt(new Leases(app, options.bootTimes), (leases) => leases.stop());
  app.rollouts = started.adopt(new Rollouts(app), (rollouts) => rollouts.close());
  started.defer(followImages(app));
  app.poolKeeper = started.adopt(new PoolKeeper(app), (keeper) => keeper.stop());
  started.defer(followDrains(app));
  started.defer(recordLoad(app));
}

/** Takes up what was going on when the dashboard ended, and connects to the hypervisors. */
async function takeUp(app: App): Promise<void> {
  const { config } = app;
  await app.jobs.recover();
  app.agents.start((await listHypervisorRows(app)).map(addressOf));
  const localSocket = localAgentSocket(config);
  if (localSocket !== null) await ensureLocalHypervisor(app, Deno.hostname(), localSocket);
  await app.leases.start();
  app.poolKeeper.start();
  app.rollouts.start();
}

/** Does what is due now and then, now and every hour. */
function keepUp(app: App, work: () => Promise<void>): AsyncDisposable {
  let running = Promise.resolve();
  const round = () => {
    running = running.then(work).catch((error) => app.log.error({ err: error }, "upkeep failed"));
  };
  round();
  const timer = setInterval(round, upkeepMs);
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await running;
    },
  };
}
