/**
 * Populate and copy as jobs of the agent, each beside the bare `qemu-img` commands that cannot be avoided, in turns
 * on real libvirt. Usage: deno run -A tests/bench/images.ts [clones] [copy MiB]
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { run } from "../../lib/process.ts";
import { RealHost } from "../support/real_host.ts";

const cloneCount = Number(Deno.args[0] ?? 100);
const copyMiB = Number(Deno.args[1] ?? 2048);
const rounds = 7;

interface Row {
  work: string;
  bareMs: number;
  oursMs: number;
  ratio: number;
  goal: number;
}

await using host = await RealHost.start("t-img-bench-");
const raw = await host.makeRawImage("os.raw", copyMiB * 2 ** 20, 2 * copyMiB * 2 ** 20);
const source = await host.create(host.spec("source", { role: "source" }), { kind: "import", path: raw });
await Deno.remove(raw);
const initial = await host.create(host.spec("initial", { role: "initial" }), { kind: "none" });

const rows = [await benchCopy(), await benchPopulate()];
for (const { work, bareMs, oursMs, ratio, goal } of rows) {
  const verdict = ratio <= goal ? "met" : "MISSED";
  console.log(
    `${work}: bare ${bareMs.toFixed(0)} ms, ours ${oursMs.toFixed(0)} ms, ` +
      `ratio ${ratio.toFixed(2)} (goal ${goal}: ${verdict})`,
  );
}
console.log(JSON.stringify({ bench: "images", cloneCount, copyMiB, rows }));

/**
 * The bare copy is flushed too, as one that is lost with the power is none, and keeps as many old copies as we do:
 * to free the blocks of a big file takes a third of the time of writing them.
 */
async function benchCopy(): Promise<Row> {
  let version = 0;
  const target = (version: number) => join(host.dir, `bare.v${version}.qcow2`);
  const bare = async () => {
    const from = host.diskPath(source.id);
    await run([
      "qemu-img",
      "convert",
      "-W",
      "-m",
      "16",
      "-f",
      "qcow2",
      "-O",
      "qcow2",
      from,
      target(++version),
    ]);
    await run(["sync", target(version)]);
    if (version > 2) await Deno.remove(target(version - 2));
  };
  const ours = async () => {
    const { result } = await host.run({ kind: "copy-disk", fromId: source.id, toId: initial.id });
    const old = result!.path.replace(/\.v\d+\./, `.v${result!.version! - 2}.`);
    if (result!.version! > 2) await Deno.remove(old);
  };
  return await compare(`copy of ${copyMiB} MiB`, bare, ours, 1.1);
}

async function benchPopulate(): Promise<Row> {
  const machineIds: string[] = [];
  for (let n = 0; n < cloneCount; n++) {
    const { id } = await host.create(host.spec(`${n}`, { role: "vdi" }), { kind: "none" });
    machineIds.push(id);
  }
  const base = host.diskPath(initial.id);
  const bareDir = join(host.dir, "bare");
  const bare = async () => {
    await Deno.mkdir(bareDir);
    const numbers = Array.from({ length: cloneCount }, (_, n) => n).values();
    const work = async () => {
      for (const n of numbers) {
        await run([
          "qemu-img",
          "create",
          "-q",
          "-f",
          "qcow2",
          "-F",
          "qcow2",
          "-b",
          base,
          join(bareDir, `${n}.qcow2`),
        ]);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() * 2 }, work));
  };
  const ours = async () => {
    await host.run({ kind: "populate", initialId: initial.id, basePath: null, machineIds });
  };
  const cleanUp = () => Deno.remove(bareDir, { recursive: true });
  return await compare(`populate of ${cloneCount} clones`, bare, ours, 1.2, cleanUp);
}

/** The best of several rounds, in turns: whatever else the machine does can only add to a time. */
async function compare(
  work: string,
  bare: () => Promise<void>,
  ours: () => Promise<void>,
  goal: number,
  cleanUp: () => Promise<void> = () => Promise.resolve(),
): Promise<Row> {
  const times: { bare: number[]; ours: number[] } = { bare: [], ours: [] };
  for (let round = 0; round < rounds; round++) {
    times.bare.push(await timeMs(bare));
    await cleanUp();
    times.ours.push(await timeMs(ours));
  }
  const [bareMs, oursMs] = [Math.min(...times.bare), Math.min(...times.ours)];
  return { work, bareMs, oursMs, ratio: oursMs / bareMs, goal };
}

async function timeMs(act: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await act();
  return performance.now() - startedAt;
}
