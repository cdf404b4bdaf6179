/** A real dashboard process with fake hypervisors beside it, its database filled beforehand. */
import { join } from "node:path";
import type { Role } from "../../../contracts/machine.ts";
import { spawn } from "../../../lib/process.ts";
import { migrations } from "../../../migrations/index.ts";
import { migrate } from "../../../server/db/migrate.ts";
import { openDatabase } from "../../../server/db/open.ts";
import type { Db } from "../../../server/db/schema.ts";
import { Sessions } from "../../../server/users/sessions.ts";
import { insertUser, userRow } from "../../../server/users/store.ts";
import { imageDir, macOf } from "../../support/fake_domain.ts";
import { hypervisorRow } from "../../support/rows.ts";
import type { AgentPlan } from "./agents_process.ts";

export interface StageOptions {
  machines: number;
  users: number;
  hypervisors?: number;
  /** The machines run already. */
  running: boolean;
  /** Hash of every user's password; without it nobody can sign in. */
  passwordHash?: string;
  /** Argv of the program; default: from the sources. */
  program?: string[];
  loadMs?: number;
  changeMs?: number;
}

export interface Stage extends AsyncDisposable {
  port: number;
  pid: number;
  poolId: string;
  adminToken: string;
  userTokens: string[];
  machineIds: string[];
}

const root = new URL("../../../", import.meta.url).pathname;
/** As in production the dashboard does not run as root. */
const nobody = Deno.uid() === 0 ? { uid: 65534, gid: 65534 } : {};
export const fromSources = [Deno.execPath(), "run", "-A", "-q", "--no-check", join(root, "main.ts")];

export async function startStage(options: StageOptions): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const dir = await Deno.makeTempDir({ prefix: "kvm-vdi-bench-" });
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  const seed = await fill(dir, options);
  await Deno.writeTextFile(join(dir, "plan.json"), JSON.stringify(seed.plan));
  const agents = [
    Deno.execPath(),
    "run",
    "-A",
    "-q",
    "--no-check",
    join(import.meta.dirname!, "agents_process.ts"),
  ];
  await startChild(stack, [...agents, join(dir, "plan.json")], {});
  await giveTo(dir);
  const flags = ["dashboard", "--data-dir", join(dir, "data"), "--listen", "127.0.0.1:0", "--insecure-http"];
  const { line, pid } = await startChild(stack, [...options.program ?? fromSources, ...flags], {
    ...nobody,
    cwd: dir,
    env: { HOME: dir, DENO_DIR: join(dir, "deno"), DENO_NO_UPDATE_CHECK: "1", KVM_VDI_LOG_LEVEL: "warn" },
  });
  const port = Number(/:(\d+)/.exec(line.replace(/^.*?:\/\//, ""))?.[1]);
  await untilConnected(port, seed.adminToken, options.hypervisors ?? 1);
  const running = stack.move();
  const { poolId, adminToken, userTokens, machineIds } = seed;
  return {
    port,
    pid,
    poolId,
    adminToken,
    userTokens,
    machineIds,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Starts a process that ends with us and returns its first line. */
export async function startChild(
  stack: AsyncDisposableStack,
  argv: string[],
  options: Parameters<typeof spawn>[1],
): Promise<{ line: string; pid: number }> {
  const child = spawn(argv, { ...options, stdin: true, diesWithParent: true });
  stack.defer(async () => void await child.stop());
  const lines = child.lines();
  const { value, done } = await lines.next();
  if (done) throw new Error(`${argv.join(" ")} ended at once: ${child.stderrTail()}`);
  return { line: value, pid: child.pid };
}

async function untilConnected(port: number, token: string, count: number): Promise<void> {
  for (const until = Date.now() + 30_000; Date.now() < until;) {
    const response = await fetch(`http://127.0.0.1:${port}/api/hypervisors?limit=500`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { items } = await response.json() as { items: { state: string }[] };
    if (items.filter(({ state }) => state === "online").length === count) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the dashboard did not connect to its hypervisors within 30 s");
}

async function giveTo(dir: string): Promise<void> {
  if (nobody.uid === undefined) return;
  await Deno.chmod(dir, 0o755);
  await Deno.mkdir(join(dir, "deno"));
  for (const path of ["deno", "data", "data/kvm-vdi.db"]) {
    await Deno.chown(join(dir, path), nobody.uid, nobody.gid);
  }
}

async function fill(dir: string, options: StageOptions) {
  await Deno.mkdir(join(dir, "data"));
  const { db, sqlite, close } = openDatabase(join(dir, "data", "kvm-vdi.db"));
  await migrate(sqlite, migrations, () => null);
  const machines = await db.transaction().execute((trx) => fillMachines(trx, dir, options));
  const people = await fillUsers(db, options, machines.poolId);
  await close();
  return { ...machines, ...people };
}

async function fillMachines(db: Db, dir: string, options: StageOptions) {
  const { machines: count, hypervisors = 1, running, loadMs = 0, changeMs = 0 } = options;
  const now = Date.now();
  const plan: AgentPlan[] = [];
  const poolId = crypto.randomUUID();
  await db.insertInto("desktop_pools").values({
    id: poolId,
    name: "Lab",
    name_key: "lab",
    description: "",
    enabled: 1,
    after_use: "keep",
    return_after_minutes: 60,
    user_power: 1,
    spares: 0,
    schedule: "[]",
    data_disk: null,
    created_at: now,
  }).execute();
  const machineIds: string[] = [];
  for (let h = 0; h < hypervisors; h++) {
    const hypervisorId = crypto.randomUUID();
    const socketPath = join(dir, `hv${h}.sock`);
    await db.insertInto("hypervisors").values(
      hypervisorRow(`hv${h}`, { id: hypervisorId, socket_path: socketPath, created_at: now }),
    ).execute();
    const initialId = crypto.randomUUID();
    const image = `${imageDir}/initial-${h}.qcow2`;
    const row = (id: string, name: string, role: Role) => ({
      id,
      name,
      name_key: name,
      role,
      os_type: "linux" as const,
      hypervisor_id: hypervisorId,
      source_id: role === "vdi" ? initialId : null,
      state: "shut-off" as const,
      state_reason: null,
      maintenance: 0 as const,
      locked: 0 as const,
      virtual_snapshot: 0 as const,
      vcpus: 2,
      memory_mib: 2048,
      mac: macOf(id),
      network: "default",
      video: "qxl" as const,
      iso: null,
      disk_path: role === "vdi" ? `${imageDir}/${name}.qcow2` : image,
      disk_bytes: 2 ** 30,
      base_path: role === "vdi" ? image : null,
      version_id: null,
      current_version_id: null,
      kept_for_user_id: null,
      kept_until: null,
      populated_at: role === "vdi" ? now : null,
      notes: "",
      created_at: now,
      updated_at: now,
    });
    await db.insertInto("machines").values(row(initialId, `initial-${h}`, "initial")).execute();
    const domains: AgentPlan["domains"] = [];
    for (let n = h; n < count; n += hypervisors) {
      const id = crypto.randomUUID();
      const name = `lab-${String(n).padStart(4, "0")}`;
      await db.insertInto("machines").values(row(id, name, "vdi")).execute();
      await db.insertInto("desktop_pool_machines").values({ desktop_pool_id: poolId, machine_id: id })
        .execute();
      domains.push({ id, name, running });
      machineIds.push(id);
    }
    plan.push({ socketPath, domains, backingPath: image, loadMs, changeMs });
  }
  return { plan, poolId, machineIds };
}

async function fillUsers(db: Db, { users, passwordHash = "none" }: StageOptions, poolId: string) {
  const sessions = new Sessions(db, Date.now);
  const make = async (username: string, role: "admin" | "user") => {
    const row = userRow({ username, displayName: "", role, passwordHash }, Date.now());
    await insertUser(db, row);
    const session = await sessions.create(row, { kind: "token", address: null, hours: 12 });
    return { id: row.id, token: session!.token };
  };
  const admin = await make("admin", "admin");
  const userTokens: string[] = [];
  for (let n = 0; n < users; n++) {
    const { id, token } = await make(`user${n}`, "user");
    await db.insertInto("entitlements").values({ desktop_pool_id: poolId, user_id: id }).execute();
    userTokens.push(token);
  }
  return { adminToken: admin.token, userTokens };
}
