/** A whole dashboard in this process, on a free port of the loopback, with a data directory of its own. */
import assert from "node:assert/strict";
import type { Agent } from "../../contracts/agent.ts";
import {
  api,
  type BodyOf,
  type Endpoint,
  type EndpointName,
  type QueryOf,
  type ResultOf,
} from "../../contracts/api.ts";
import { ErrorBody, type ErrorCode, type FieldError } from "../../contracts/errors.ts";
import type { UserRole } from "../../contracts/user.ts";
import { createLogger, type LogLevel } from "../../lib/log.ts";
import type { App } from "../../server/app.ts";
import { DashboardConfig } from "../../server/config.ts";
import { type Dashboard, type DashboardOptions, startDashboard } from "../../server/dashboard.ts";
import { insertUser, userRow } from "../../server/users/store.ts";

export const adminPassword = "correct horse battery staple";

export interface TestDashboardOptions
  extends Partial<Pick<DashboardOptions, "now" | "agentTimes" | "bootTimes" | "eventTimes">> {
  /** Hypervisors to begin with: name -> agent. */
  agents?: Record<string, Agent>;
  config?: Partial<DashboardConfig>;
  /** Kept when the dashboard stops; default: a temporary one. */
  dataDir?: string;
  logLevel?: LogLevel;
}

/** A failed call, with what the answer said. */
export class CallError extends Error {
  constructor(
    readonly status: number,
    readonly code: ErrorCode,
    message: string,
    readonly details: FieldError[] | undefined,
    readonly requestId: string | undefined,
  ) {
    super(message);
  }
}

/** Calls endpoints by name; what comes back has been checked against the contract. */
export class ApiClient {
  constructor(readonly url: string, readonly token: string | null = null) {}

  async call<N extends EndpointName>(
    name: N,
    input: { id?: string; query?: QueryOf<N>; body?: BodyOf<N>; signal?: AbortSignal } = {},
  ): Promise<ResultOf<N>> {
    const endpoint: Endpoint = api[name];
    const query = Object.entries(input.query ?? {}).filter(([, value]) => value !== undefined);
    const search = query.length > 0
      ? `?${new URLSearchParams(query.map(([key, value]) => [key, String(value)]))}`
      : "";
    const response = await this.fetch(endpoint.path.replace(":id", input.id ?? "") + search, {
      method: endpoint.method,
      ...(input.body !== undefined && {
        body: JSON.stringify(input.body),
        headers: { "Content-Type": "application/json" },
      }),
      signal: input.signal,
    });
    const text = await response.text();
    if (!response.ok) throw callError(response.status, text);
    assert.equal(response.status, endpoint.status, `status of ${name}`);
    return endpoint.result.parse(text === "" ? undefined : JSON.parse(text)) as ResultOf<N>;
  }

  /** A plain request with this client's token; nothing is thrown for a bad status. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.token !== null) headers.set("Authorization", `Bearer ${this.token}`);
    return fetch(this.url + path, { redirect: "manual", ...init, headers });
  }
}

function callError(status: number, text: string): CallError {
  const { error } = ErrorBody.parse(JSON.parse(text));
  return new CallError(status, error.code, error.message, error.details, error.requestId);
}

export interface TestDashboard extends AsyncDisposable {
  app: App;
  dashboard: Dashboard;
  url: string;
  dataDir: string;
  /** Signed in as `admin`. */
  admin: ApiClient;
  /** Nobody. */
  anonymous: ApiClient;
  /** Hypervisor ids by the name they were given. */
  hypervisorIds: Record<string, string>;
  /** Makes a user by the short way (no password) and signs in. */
  as(username: string, role?: UserRole): Promise<ApiClient & { userId: string }>;
  signIn(username: string, password: string): Promise<ApiClient>;
  /** Stops, keeps the data directory, and starts again on it. */
  restart(options?: Partial<TestDashboardOptions>): Promise<TestDashboard>;
}

/** Starts a dashboard with an admin; its agents are connected when this returns. Plain HTTP unless configured. */
export async function startTestDashboard(options: TestDashboardOptions = {}): Promise<TestDashboard> {
  const dataDir = options.dataDir ?? await Deno.makeTempDir({ prefix: "kvm-vdi-test-" });
  const config: DashboardConfig = {
    ...DashboardConfig.parse({ dataDir, listen: "127.0.0.1:0", insecureHttp: true }),
    ...options.config,
  };
  const agents = options.agents ?? {};
  const sockets = new Map(Object.entries(agents).map(([name, agent]) => [`/fake/${name}.sock`, agent]));
  const dashboard = await startDashboard({
    config,
    log: createLogger({ mode: "test", level: options.logLevel ?? "silent" }),
    connect: ({ socketPath, ssh }) => ssh ? null : sockets.get(socketPath) ?? null,
    now: options.now,
    agentTimes: options.agentTimes,
    bootTimes: options.bootTimes,
    eventTimes: options.eventTimes,
  });
  const { app, url } = dashboard;
  const anonymous = new ApiClient(url);
  const admin = await signInDirectly(app, url, "admin", "admin");
  const hypervisorIds = await registerHypervisors(admin, Object.keys(agents));
  return {
    app,
    dashboard,
    url,
    dataDir,
    admin,
    anonymous,
    hypervisorIds,
    as: (username, role = "user") => signInDirectly(app, url, username, role),
    signIn: async (username, password) => {
      const { token } = await anonymous.call("signIn", { body: { username, password, kind: "token" } });
      return new ApiClient(url, token!);
    },
    restart: async (changes = {}) => {
      await dashboard.close();
      return await startTestDashboard({ ...options, ...changes, dataDir });
    },
    [Symbol.asyncDispose]: async () => {
      await dashboard.close();
      if (options.dataDir === undefined) await Deno.remove(dataDir, { recursive: true });
    },
  };
}

/** The hash of no known password. */
const noPassword = `$argon2id$v=19$m=19456,t=2,p=1$${"A".repeat(22)}$${"A".repeat(43)}`;

/** The user (made if there is none of that name) with a session, without the cost of hashing passwords. */
async function signInDirectly(app: App, url: string, username: string, role: UserRole) {
  const row = userRow(
    { username, displayName: "", role, passwordHash: noPassword },
    app.now(),
  );
  const known = await app.db.selectFrom("users").selectAll().where("username_key", "=", row.username_key)
    .executeTakeFirst();
  if (!known) await insertUser(app.db, row);
  const session = await app.sessions.create(known ?? row, { kind: "token", address: null, hours: 12 });
  assert(session);
  return Object.assign(new ApiClient(url, session.token), { userId: (known ?? row).id });
}

async function registerHypervisors(admin: ApiClient, names: string[]): Promise<Record<string, string>> {
  const { items } = await admin.call("listHypervisors", { query: { limit: 500 } });
  const ids = Object.fromEntries(items.map(({ name, id }) => [name, id]));
  for (const name of names) {
    if (ids[name] !== undefined) continue;
    const body = { name, socketPath: `/fake/${name}.sock` };
    ids[name] = (await admin.call("createHypervisor", { body })).hypervisor.id;
  }
  return ids;
}
