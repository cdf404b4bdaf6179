/**
 * An image from one hypervisor's agent to another's, straight and through the dashboard's relay, each beside `scp` of the
 * same file on the same link, in turns. Every copy is flushed to the disk, and checked for ours.
 * Runs itself in a network namespace whose loopback is the link; needs root.
 * Usage: deno run -A tests/bench/transfer.ts [MiB] [rounds]
 */
import { join } from "node:path";
import type { AgentJob } from "../../contracts/agent.ts";
import { run } from "../../lib/process.ts";
import { SshLink } from "../../server/agents/ssh/ssh_link.ts";
import { AgentClient } from "../../server/agents/agent_client.ts";
import { sshTransport } from "../../server/agents/transport.ts";
import { eventually } from "../support/eventually.ts";
import { requireSuccess, TestHypervisor } from "../support/hypervisor.ts";
import { Sshd } from "../support/sshd.ts";

const [dataMiB = 1024, rounds = 3] = Deno.args.filter((arg) => arg !== "--inside").map(Number);
const goal = 1.2;

if (!Deno.args.includes("--inside")) {
  const self = [Deno.execPath(), "run", "-A", "--no-check", import.meta.filename!, "--inside", ...Deno.args];
  const { code } = await new Deno.Command("unshare", { args: ["-n", ...self] }).spawn().status;
  Deno.exit(code);
}

interface Row {
  link: string;
  file: string;
  scpMs: number;
  directMs: number;
  relayedMs: number;
  ratio: number;
  relayedRatio: number;
}

await run(["ip", "link", "set", "lo", "up"]);
await using stack = new AsyncDisposableStack();
const source = stack.use(await TestHypervisor.start({ prefix: "t-scp-a-" }));
const target = stack.use(await TestHypervisor.start({ prefix: "t-scp-b-" }));
const sshd = stack.use(await Sshd.start());
const keyFile = join(sshd.dir, "key");
await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keyFile]);
await sshd.authorize("root", (await Deno.readTextFile(`${keyFile}.pub`)).trim());
const key = await Deno.readTextFile(keyFile);
const link = await SshLink.connect({
  target: await sshd.target(),
  methods: [{ type: "publickey", username: "root", key }],
  remedy: "",
});
stack.defer(() => link.close());
const targetOverSsh = new AgentClient(sshTransport(link, target.socketPath));

const mib = 2 ** 20;
const files = [
  { file: `${dataMiB} MiB of data`, path: await makeFile("dense", 0) },
  { file: `${dataMiB} MiB of data with as much in holes`, path: await makeFile("holes", dataMiB * mib) },
];
const gigabit = ["rate", "1gbit", "burst", "256kb", "latency", "50ms"];
const rows = [...await measureLink("1 Gbit/s", gigabit), ...await measureLink("loopback", null)];
console.log(JSON.stringify({ bench: "transfer", dataMiB, rounds, rows }));

function print({ link, file, scpMs, directMs, relayedMs, ratio, relayedRatio }: Row): void {
  const verdict = link === "loopback" ? "" : ` (goal ${goal}: ${ratio <= goal ? "met" : "MISSED"})`;
  console.log(
    `${link}, ${file}: scp ${seconds(scpMs)}, direct ${seconds(directMs)}, ratio ${
      ratio.toFixed(2)
    }${verdict}; ` +
      `relayed ${seconds(relayedMs)}, ratio ${relayedRatio.toFixed(2)}`,
  );
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Noise in pieces of 32 MiB, with holes of `holeBytes` in all between them, in a qcow2 file's name. */
async function makeFile(name: string, holeBytes: number): Promise<string> {
  const path = join(source.imageDir, `${name}.qcow2`);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64G"]);
  using file = await Deno.open(path, { write: true });
  const pieces = dataMiB / 32;
  const piece = new Uint8Array(32 * mib);
  for (let at = 0; at < piece.length; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536));
  for (let n = 0; n < pieces; n++) {
    new DataView(piece.buffer).setUint32(0, n);
    await file.seek(mib + n * (piece.length + holeBytes / pieces), Deno.SeekMode.Start);
    for (let done = 0; done < piece.length;) done += await file.write(piece.subarray(done));
  }
  await file.truncate(mib + pieces * piece.length + holeBytes);
  await file.sync();
  return path;
}

async function measureLink(name: string, shaping: string[] | null): Promise<Row[]> {
  if (shaping) await run(["tc", "qdisc", "replace", "dev", "lo", "root", "tbf", ...shaping]);
  else await run(["tc", "qdisc", "del", "dev", "lo", "root"]);
  const rows: Row[] = [];
  for (const { file, path } of files) {
    const times = { scp: [] as number[], direct: [] as number[], relayed: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      times.scp.push(await byScp(path));
      times.direct.push(await byAgents(path, true));
      times.relayed.push(await byAgents(path, false));
    }
    // Whatever else the machine does can only add to a time.
    const [scpMs, directMs, relayedMs] = [times.scp, times.direct, times.relayed].map((all) =>
      Math.min(...all)
    );
    const row = { scpMs: scpMs!, directMs: directMs!, relayedMs: relayedMs! };
    const ratios = { ratio: row.directMs / row.scpMs, relayedRatio: row.relayedMs / row.scpMs };
    rows.push({ link: name, file, ...row, ...ratios });
    print(rows.at(-1)!);
  }
  return rows;
}

async function byScp(path: string): Promise<number> {
  const copy = join(target.dir, "scp.qcow2");
  const options = [
    "-q",
    "-i",
    keyFile,
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
  ];
  const ms = await timeMs(async () => {
    await run(["scp", ...options, "-P", String(sshd.port), path, `root@127.0.0.1:${copy}`]);
    await run(["sync", copy]);
  });
  await Deno.remove(copy);
  return ms;
}

async function byAgents(path: string, direct: boolean): Promise<number> {
  const { size, blocks } = await Deno.stat(path);
  const jobId = crypto.randomUUID();
  let copy = "";
  const ms = await timeMs(async () => {
    await target.agent.startJob({
      id: jobId,
      operation: {
        kind: "receive-image",
        to: { kind: "version", initialId: crypto.randomUUID(), name: "copy", version: 1 },
        ...{ bytes: size, allocatedBytes: blocks! * 512, sha256: null, direct },
      },
    });
    const receiving = await eventually("it waits", () => target.agent.receiving(jobId), { everyMs: 5 });
    if (receiving.direct) {
      const hosts = ["127.0.0.1"];
      const send = { kind: "send-image" as const, path, jobId, hosts, ...receiving.direct };
      requireSuccess(await source.events.runJob(source.agent, send, 600_000));
    } else {
      const { signal } = new AbortController();
      await targetOverSsh.sendStream(jobId, 0, await source.agent.imageStream(path, 0, signal), signal);
    }
    const job: AgentJob = requireSuccess(await target.events.untilJobEnds(jobId, 600_000));
    copy = job.result!.path;
  });
  await run(["cmp", path, copy]);
  await Deno.remove(copy);
  return ms;
}

async function timeMs(act: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await act();
  return performance.now() - startedAt;
}
