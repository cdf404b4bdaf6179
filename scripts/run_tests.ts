/**
 * Runs every check and test, and ends with one honest line: `N passed, N failed, N skipped`.
 *
 *   --fast           no libvirt, no browser: formatting, lint, types, the tests beside the code and those of the executable
 *   --only PATTERN   only test files whose path contains PATTERN, and no checks
 */
import { ProcessError, run, spawn } from "../lib/process.ts";

const root = new URL("..", import.meta.url).pathname;
const deno = Deno.execPath();

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Group {
  name: string;
  folders: string[];
  /** Its tests share libvirt or a screen: one file at a time. */
  serial: boolean;
  /** Leaked timers, reads and processes are failures; not where a browser driver keeps its own. */
  sanitize: boolean;
  timeoutMs: number;
}

const minute = 60_000;
const groups: Group[] = [
  {
    name: "unit",
    folders: ["contracts", "lib", "server", "agent", "client", "ui", "scripts"],
    serial: false,
    sanitize: true,
    timeoutMs: 10 * minute,
  },
  // One at a time, because the executable's start is timed.
  {
    name: "repository and executable",
    folders: ["tests/*"],
    serial: true,
    sanitize: true,
    timeoutMs: 5 * minute,
  },
  {
    name: "integration",
    folders: ["tests/integration"],
    serial: true,
    sanitize: true,
    timeoutMs: 20 * minute,
  },
  // In Chromium against an API in memory.
  { name: "web interface", folders: ["tests/ui"], serial: true, sanitize: false, timeoutMs: 10 * minute },
  { name: "end to end", folders: ["tests/e2e"], serial: true, sanitize: false, timeoutMs: 40 * minute },
];

const checks: { name: string; argv: string[] }[] = [
  { name: "formatting", argv: [deno, "fmt", "--check"] },
  { name: "lint", argv: [deno, "lint", "--quiet"] },
  { name: "types", argv: [deno, "task", "--quiet", "check"] },
];

/** A check counts as one test. */
async function runCheck({ name, argv }: (typeof checks)[number]): Promise<Counts> {
  const startedAt = performance.now();
  try {
    await run(argv, { cwd: root, env: { NO_COLOR: "1" } });
    console.log(`check: ${name} ... ok (${Math.round(performance.now() - startedAt)}ms)`);
    return { passed: 1, failed: 0, skipped: 0 };
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    console.log(`check: ${name} ... FAILED\n${error.stdout}${error.stderr}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

/** Test files of a group; a folder that ends in `/*` means the files directly in it. */
async function findTests({ folders }: Group, only: string | undefined): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    found.push(...await findTestsIn(folder.replace(/\/\*$/, ""), !folder.endsWith("/*")));
  }
  return found.filter((path) => !only || path.includes(only)).sort();
}

async function findTestsIn(folder: string, deep: boolean): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(root + folder)) {
      if (isDirectory && deep && name !== "node_modules") {
        found.push(...await findTestsIn(`${folder}/${name}`, true));
      }
      if (/_test\.tsx?$/.test(name)) found.push(`${folder}/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}

/** Runs test files and counts the results in the JUnit report; a crash or a time-out counts as a failure. */
async function runTests(group: Group, files: string[], signal: AbortSignal): Promise<Counts> {
  console.log(`\n== ${group.name}: ${files.length} files`);
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const flags = [
      "-A",
      "--frozen",
      "--no-check",
      `--junit-path=${report}`,
    ];
    if (group.sanitize) flags.push("--sanitize-ops", "--sanitize-resources");
    if (!group.serial) flags.push("--parallel");
    const child = spawn([deno, "test", ...flags, ...files], {
      cwd: root,
      stdout: "inherit",
      stderr: "inherit",
      signal,
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      console.log(`${group.name}: not done within ${group.timeoutMs / minute} minutes`);
      void child.stop();
    }, group.timeoutMs);
    const { code } = await child.status;
    clearTimeout(timer);
    const counts = countResults(await Deno.readTextFile(report));
    const crashed = counts.failed === 0 && (code !== 0 || late || counts.passed + counts.skipped === 0);
    return crashed ? { ...counts, failed: 1 } : counts;
  } finally {
    await Deno.remove(report);
  }
}

function countResults(junit: string): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [, body = ""] of junit.matchAll(/<testcase\b[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    if (/<(failure|error)\b/.test(body)) counts.failed++;
    else if (/<skipped\b/.test(body)) counts.skipped++;
    else counts.passed++;
  }
  return counts;
}

function parseArguments(args: string[]): { fast: boolean; only: string | undefined } {
  const [first, second, ...rest] = args;
  if (first === undefined) return { fast: false, only: undefined };
  if (first === "--fast" && second === undefined) return { fast: true, only: undefined };
  if (first === "--only" && second && rest.length === 0) return { fast: false, only: second };
  console.error("usage: ./scripts/test [--fast | --only PATTERN]");
  Deno.exit(2);
}

const { fast, only } = parseArguments(Deno.args);
const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, () => abort.abort());

const results: Counts[] = [];
if (!only) { for (const check of checks) results.push(await runCheck(check)); }
for (const group of fast ? groups.slice(0, 2) : groups) {
  const files = await findTests(group, only);
  if (files.length > 0 && !abort.signal.aborted) results.push(await runTests(group, files, abort.signal));
}
const total = results.reduce((sum, { passed, failed, skipped }) => ({
  passed: sum.passed + passed,
  failed: sum.failed + failed,
  skipped: sum.skipped + skipped,
}), { passed: 0, failed: 0, skipped: 0 });
const nothingRan = total.passed + total.failed === 0;
if (nothingRan) console.log("no test matches");
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
Deno.exit(total.failed > 0 || nothingRan || abort.signal.aborted ? 1 : 0);
