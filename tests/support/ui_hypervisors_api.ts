/** Hypervisors, their SSH keys and their history in the in-memory API behind ui_server.ts. */
import { AppError } from "../../contracts/errors.ts";
import type { Hypervisor, LoadPoint, OwnKey } from "../../contracts/hypervisor.ts";
import type { Job } from "../../contracts/job.ts";
import { contains, page, requireById, runJob } from "./ui_api_parts.ts";
import type { Handlers, UiServer } from "./ui_server.ts";
import { GiB, hostKeyOf, idOf, makeHypervisor, minute, overviewOf } from "./ui_world_parts.ts";

/** The password that every host of this world takes. */
export const hostPassword = "sesame";
const enrolSteps = ["Signed in", "Copied the program", "Made account and directories", "Started the agent"];

const ed25519Key: OwnKey = {
  algorithm: "ed25519",
  publicKey:
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGp7jYq3Qw0uV5c8n2f1y6kJ4b9d3s7t0x2z5w8r1qLm kvm-vdi@dashboard",
  fingerprint: "SHA256:Qm9vY2sgYW5kIHJvbGwgaXMgaGVyZSB0byBzdGF5IDE",
  createdAt: Date.now() - 200 * 24 * 60 * minute,
};
const rsaKey: OwnKey = {
  ...ed25519Key,
  algorithm: "rsa",
  publicKey: `ssh-rsa ${"AAAAB3NzaC1yc2EAAAADAQABAAABgQ".repeat(8)} kvm-vdi@dashboard`,
  fingerprint: "SHA256:UlNBIGtleSBvZiB0aGUgZGFzaGJvYXJkIGZvciB0ZXN0",
};
const rsaMade = new WeakSet<UiServer>();

function change(server: UiServer, hypervisor: Hypervisor, patch: Partial<Hypervisor>): void {
  Object.assign(hypervisor, patch);
  server.publish({ type: "hypervisor", hypervisor });
}

/** An installation that fails at the sign-in with any password but `hostPassword`. */
function enrol(server: UiServer, hypervisor: Hypervisor, password: string | undefined): Job {
  const subject = { subjectId: hypervisor.id, subjectName: hypervisor.name };
  const job = runJob(server, {
    ...subject,
    kind: "enrol-hypervisor",
    stage: "Signing in",
    total: enrolSteps.length,
  }, () => {
    change(server, hypervisor, {
      ...makeHypervisor(2),
      ...pick(hypervisor),
      state: "online",
      stateReason: null,
      jobId: null,
    });
  });
  const live = server.world.jobs.find(({ id }) => id === job.id)!;
  change(server, hypervisor, { jobId: job.id });
  if (password !== hostPassword) {
    const message = `${hypervisor.address} refused the password. Check account and password.`;
    Object.assign(live, {
      state: "failed",
      endedAt: Date.now(),
      error: { code: "hypervisor_failed", message },
      items: [{ id: "sign-in", name: "Sign in", ok: false, message: "refused" }],
    });
    change(server, hypervisor, { jobId: null });
  } else {
    live.items = enrolSteps.map((name) => ({ id: name, name, ok: true, message: null }));
  }
  server.publish({ type: "job", job: live });
  return structuredClone(live);
}

const pick = ({ id, name, address, ssh, createdAt }: Hypervisor) => ({ id, name, address, ssh, createdAt });

/** A day in the life of a host: quiet at night, a gap where it was off. */
function loadPoints(hours: number): LoadPoint[] {
  const step = hours <= 24 ? minute : 15 * minute;
  const count = Math.floor(hours * 60 * minute / step);
  const first = Math.floor((Date.now() - hours * 60 * minute) / step) * step;
  const points = Array.from({ length: count }, (_, n): LoadPoint => {
    const at = first + n * step;
    const wave = (1 + Math.sin(at / (4 * 60 * minute))) / 2;
    return {
      at,
      cpuPercent: 8 + 70 * wave + n * 37 % 9,
      memoryUsedMiB: Math.round((120 + 260 * wave) * 1024),
      running: Math.round(20 + 160 * wave),
      freeBytes: Math.round((1700 - n / count * 40) * GiB),
    };
  });
  return points.filter((_, n) => n < count * 0.3 || n > count * 0.36);
}

export const hypervisorHandlers: Handlers = {
  listHypervisors: ({ query }, world) =>
    page(world.hypervisors.filter((one) => contains(query.q, one.name, one.address)), query),
  getHypervisor: ({ id }, world) => ({ hypervisor: requireById(world.hypervisors, id, "hypervisor") }),
  createHypervisor: ({ body, server }, world) => {
    if (world.hypervisors.some((one) => one.name === body.name)) {
      throw new AppError("conflict", `A hypervisor named ${body.name} exists.`, {
        details: [{ path: "name", message: "is taken" }],
      });
    }
    const hostKey = hostKeyOf(7);
    const hypervisor = makeHypervisor(1, {
      id: crypto.randomUUID(),
      name: body.name,
      address: body.ssh?.address ?? "local",
      ssh: body.ssh
        ? { ...body.ssh, port: body.ssh.port ?? 22, username: body.ssh.username ?? "kvm-vdi", hostKey }
        : null,
      state: "offline",
      stateReason: "The agent does not answer yet.",
      stateSince: Date.now(),
      agentVersion: null,
      facts: null,
      load: null,
      createdAt: Date.now(),
    });
    world.hypervisors.push(hypervisor);
    server.publish({ type: "hypervisor", hypervisor });
    const job = body.enrol ? enrol(server, hypervisor, body.enrol.password) : null;
    if (!job) server.after(400, () => change(server, hypervisor, { state: "online", stateReason: null }));
    return { hypervisor: structuredClone(hypervisor), job };
  },
  updateHypervisor: ({ id, body, server }, world) => {
    const hypervisor = requireById(world.hypervisors, id, "hypervisor");
    const { drain, capacity, settings, ssh, ...rest } = body;
    if (settings?.imageDir && !settings.imageDir.startsWith("/var/lib")) {
      throw new AppError("invalid", "The settings of the agent cannot be changed.", {
        details: [{ path: "settings.imageDir", message: "there is no such directory" }],
      });
    }
    const endsAt = drain?.mode === "end" ? Date.now() + (drain.countdownSeconds ?? 300) * 1000 : null;
    const sessionsLeft =
      world.leases.filter((one) => one.hypervisorName === hypervisor.name && one.endedAt === null).length;
    const { facts } = hypervisor;
    change(server, hypervisor, {
      ...rest,
      ...(drain
        ? {
          maintenance: true,
          drain: { mode: drain.mode, since: Date.now(), endsAt, sessionsLeft, runningLeft: sessionsLeft + 3 },
        }
        : drain === null || rest.maintenance === false
        ? { drain: null }
        : {}),
      ...(capacity ? { capacity: { ...hypervisor.capacity, ...capacity } } : {}),
      ...(settings && facts ? { facts: { ...facts, settings: { ...facts.settings, ...settings } } } : {}),
      ...(ssh && hypervisor.ssh
        ? { ssh: { ...hypervisor.ssh, ...ssh, hostKey: ssh.hostKey ? hostKeyOf(7) : hypervisor.ssh.hostKey } }
        : {}),
    });
    return { hypervisor };
  },
  deleteHypervisor: ({ id, server }, world) => {
    world.hypervisors = world.hypervisors.filter((one) => one.id !== id);
    server.publish({ type: "hypervisor-removed", id });
  },
  // Every host answers with the key number 7: those that were confirmed with another one have a changed key.
  readHostKey: () => ({ hostKey: hostKeyOf(7) }),
  listOwnKeys: ({ server }) => ({ items: rsaMade.has(server) ? [ed25519Key, rsaKey] : [ed25519Key] }),
  createOwnKey: ({ server }) => {
    rsaMade.add(server);
    return { key: rsaKey };
  },
  enrolHypervisor: ({ id, body, server }, world) => ({
    job: enrol(server, requireById(world.hypervisors, id, "hypervisor"), body.password),
  }),
  updateAgents: ({ body, server }, world) => {
    const wanted = world.hypervisors.filter((one) =>
      body?.hypervisorIds ? body.hypervisorIds.includes(one.id) : one.agentOutdated
    );
    const job = runJob(server, {
      kind: "update-agents",
      subjectName: wanted.map(({ name }) => name).join(", "),
      total: wanted.length,
    }, () => {
      for (const one of wanted) {
        change(server, one, { agentOutdated: false, agentVersion: "1.0.0", jobId: null });
      }
      world.warnings = world.warnings.filter((warning) => !warning.id.startsWith("agent-outdated"));
      server.publish({ type: "overview", overview: overviewOf(world) });
    });
    for (const one of wanted) change(server, one, { jobId: job.id });
    return { job };
  },
  getHypervisorLoad: ({ query }) => ({ points: loadPoints(query.hours) }),
  listImportableDomains: (_, world) => ({
    items: [
      { n: 1, name: "old-server", state: "running", memoryMiB: 2048 },
      { n: 2, name: "gold-2024", state: "shut-off", memoryMiB: 4096 },
    ].map(({ n, name, ...rest }) => ({ id: idOf(9, n), name, ...rest, disks: [`/srv/${name}.qcow2`] }))
      .filter(({ name }) => !world.machines.some((machine) => machine.name === name)),
  }),
};
