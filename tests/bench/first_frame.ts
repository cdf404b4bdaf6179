/**
 * From a user's click to the first frame of a desktop that runs: our portal, and in turns with it a page that does
 * nothing but load the same SPICE client and connect it through Debian's websockify. Each round has a browser without
 * a cache. Browser, dashboard and guest share the machine's cores. Usage: deno run -A tests/bench/first_frame.ts [rounds]
 */
import { join } from "node:path";
import * as esbuild from "esbuild";
import type { Page } from "playwright-core";
import { type RunningProcess, spawn } from "../../lib/process.ts";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { makeGoldenImage, makePool, type TestPool } from "../support/golden_image.ts";
import { guestOf } from "../support/guest.ts";
import { Stand, virsh } from "../support/stand.ts";
import { printTable } from "./support/table.ts";

const rounds = Number(Deno.args[0] ?? 9);
const goalMs = 1_000;
const prefix = "bench-frame-";
const referencePort = 6_987;
const referencePassword = "of the reference";

/** Runs in the page: `firstFrame` is the time in ms from the next click until a canvas shows more than one colour. */
function watchForFirstFrame(): void {
  const isDrawn = (canvas: HTMLCanvasElement) => {
    const { width, height } = canvas;
    if (!width || !height || !canvas.checkVisibility()) return false;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, width, height);
    return new Uint32Array(data.buffer).some((pixel, _, all) => pixel !== all[0]);
  };
  const firstFrame = new Promise<number>((resolve) =>
    addEventListener("click", ({ timeStamp }) => {
      const look = () => {
        if ([...document.querySelectorAll("canvas")].some(isDrawn)) resolve(performance.now() - timeStamp);
        else requestAnimationFrame(look);
      };
      look();
    }, { once: true, capture: true })
  );
  Object.assign(globalThis, { firstFrame });
}

async function firstFrameMs(page: Page, buttonName: string): Promise<number> {
  const button = page.getByRole("button", { name: buttonName });
  await button.waitFor();
  await page.evaluate(watchForFirstFrame);
  await button.click();
  return await page.evaluate(() => (globalThis as unknown as { firstFrame: Promise<number> }).firstFrame);
}

async function openFromPortal(stand: Stand, browser: TestBrowser, pool: TestPool): Promise<number> {
  await using ann = await browser.open({ url: `${stand.url}/desktops` });
  await ann.page.getByLabel("User name").fill("ann");
  await ann.page.getByLabel("Password").fill(pool.password);
  await ann.page.getByRole("button", { name: "Sign in" }).click();
  return await firstFrameMs(ann.page, `Open ${prefix}office`);
}

async function openReference(browser: TestBrowser, domain: string): Promise<number> {
  for (const command of [`set_password spice "${referencePassword}"`, "expire_password spice never"]) {
    await virsh("qemu-monitor-command", domain, "--hmp", command);
  }
  await using page = await browser.open({ url: `http://127.0.0.1:${referencePort}` });
  return await firstFrameMs(page.page, "Open");
}

const referencePage = `<!doctype html><title>Reference</title><button>Open</button><div id="screen"></div>
<script type="module">
document.querySelector("button").onclick = async () => {
  const { SpiceMainConn } = await import("./spice-client.js");
  new SpiceMainConn({
    uri: "ws://" + location.host,
    password: ${JSON.stringify(referencePassword)},
    screen_id: "screen",
    onerror: console.error,
  });
};
</script>`;

/** websockify, which serves the reference's page and pumps between its WebSockets and the display of a domain. */
async function startReference(dir: string, domain: string): Promise<RunningProcess> {
  await Deno.writeTextFile(join(dir, "index.html"), referencePage);
  await esbuild.build({
    entryPoints: ["spice-client"],
    bundle: true,
    minify: true,
    format: "esm",
    outfile: join(dir, "spice-client.js"),
  });
  await esbuild.stop();
  const display = new URL(await virsh("domdisplay", domain));
  const listen = `127.0.0.1:${referencePort}`;
  const argv = ["websockify", "--web", dir, listen, `127.0.0.1:${display.port}`];
  const relay = spawn(argv, { diesWithParent: true, stdout: "null" });
  await eventually("websockify listens", async () => {
    const response = await fetch(`http://${listen}`);
    await response.body?.cancel();
    return response.ok;
  });
  return relay;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const inWords = (times: number[]) =>
  `${median(times).toFixed(0)} ms (${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)})`;

await using stand = await Stand.start({ prefix });
await using browser = await startBrowser();
const { vdis: [desktop] } = await makeGoldenImage(stand, { vdis: 1 });
const pool = await makePool(stand, "office", [desktop!.id], ["ann"]);
await stand.desktopReady(await stand.signIn("ann", pool.password), pool.id);
await guestOf(desktop!.name).ready();
await using _relay = await startReference(await Deno.makeTempDir({ dir: stand.dir }), desktop!.name);

const ours: number[] = [], reference: number[] = [];
for (let round = 0; round < rounds; round++) {
  reference.push(await openReference(browser, desktop!.name));
  ours.push(await openFromPortal(stand, browser, pool));
}
printTable([{
  work: "click to first frame, warm desktop, loopback",
  result: inWords(ours),
  reference: `${inWords(reference)} bare page and websockify; ratio ${
    (median(ours) / median(reference)).toFixed(2)
  }`,
  goal: "< 1 s",
  met: median(ours) < goalMs,
}]);
console.log(`load: ${Deno.loadavg().map((load) => load.toFixed(1)).join(" ")}`);
