/** Desktops in the browser: real guests, a real Chromium, asserted inside the guest. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { startBrowser, type TestBrowser, type TestPage } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { type GoldenImage, makeGoldenImage, makePool, type TestPool } from "../support/golden_image.ts";
import { guestOf } from "../support/guest.ts";
import { adminPassword, Stand } from "../support/stand.ts";

let stand: Stand;
let browser: TestBrowser;
let golden: GoldenImage;
let pool: TestPool;
const poolName = "e2e-console-office";
const openButton = `Open ${poolName}`;

Deno.test.beforeAll(async () => {
  stand = await Stand.start({ prefix: "e2e-console-" });
  browser = await startBrowser();
  golden = await makeGoldenImage(stand, { vdis: 1 });
  pool = await makePool(stand, "office", [golden.vdis[0]!.id], ["ann", "ben"]);
});
Deno.test.afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await stand[Symbol.asyncDispose]();
});

/** What a browser writes to its console for every answer that refuses; the page itself says it in words. */
const refusal = /Failed to load resource: the server responded with a status of (401|409)/;
const assertNoErrors = ({ errors }: TestPage) =>
  assert.deepEqual(errors.filter((text) => !refusal.test(text)), []);

async function signIn(username: string, password: string, path = "/desktops"): Promise<TestPage> {
  const opened = await browser.open({ url: `${stand.url}${path}` });
  await opened.page.getByLabel("User name").fill(username);
  await opened.page.getByLabel("Password").fill(password);
  await opened.page.getByRole("button", { name: "Sign in" }).click();
  return opened;
}

const connected = (page: Page, timeoutMs = 60_000) =>
  page.locator(".kv-console[data-state=connected]").waitFor({ timeout: timeoutMs });

/** How many different colours the guest's screen has on the page: one means that nothing was drawn. */
const colours = (page: Page) =>
  page.locator(".kv-screen canvas").evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });

const openMenu = async (page: Page, name: string) => {
  await page.mouse.move(640, 2);
  await page.getByRole("button", { name, exact: true }).click();
};

Deno.test("a click opens the user's desktop; the guest's screen is on the page and keys reach the guest", async () => {
  const { name } = golden.vdis[0]!;
  await using ann = await signIn("ann", pool.password);
  const { page } = ann;
  await page.getByRole("button", { name: openButton }).click();
  await page.getByText(`${poolName} is starting`).waitFor();
  await connected(page);
  await guestOf(name).ready();
  await eventually("something is drawn", async () => await colours(page) > 1);
  await page.keyboard.type("Hello from the Browser 42 !\n");
  await eventually(
    "the guest has the line",
    async () => await guestOf(name).lastTyped() === "Hello from the Browser 42 !",
  );

  await openMenu(page, "Keys");
  await page.getByRole("menuitem", { name: "Type text…" }).click();
  await page.getByLabel("Text", { exact: true }).fill("typed: {a|B} ~ 'x'\n");
  await page.getByRole("button", { name: "Type", exact: true }).click();
  await eventually(
    "the guest has the text",
    async () => await guestOf(name).lastTyped() === "typed: {a|B} ~ 'x'",
  );
  assertNoErrors(ann);
});

Deno.test("Ctrl+Alt+Del from the console's menu reboots the guest once, and its keys are not stuck after it", async () => {
  const guest = guestOf(golden.vdis[0]!.name);
  await using ann = await signIn("ann", pool.password);
  const { page } = ann;
  await page.getByRole("button", { name: openButton }).click();
  await connected(page);
  const boots = await guest.bootCount();
  await openMenu(page, "Keys");
  await page.getByRole("menuitem", { name: "Ctrl+Alt+Del", exact: true }).click();
  await eventually("the guest boots again", async () => await guest.bootCount() === boots + 1, {
    timeoutMs: 60_000,
  });
  await connected(page);
  await page.keyboard.type("plain\n");
  await eventually("keys are plain again", async () => await guest.lastTyped() === "plain");
  assert.equal(await guest.bootCount(), boots + 1);
  assertNoErrors(ann);
});

Deno.test("an admin who takes the screen over is asked first, and the user is told and can have it back", async () => {
  const { id } = golden.vdis[0]!;
  await using ann = await signIn("ann", pool.password);
  await ann.page.getByRole("button", { name: openButton }).click();
  await connected(ann.page);
  await using admin = await signIn("admin", adminPassword, `/console/machine/${id}`);
  await admin.page.getByRole("heading", { name: /^ann uses / }).waitFor();
  await admin.page.getByRole("button", { name: "Take the screen over" }).click();
  await connected(admin.page);
  await ann.page.getByRole("heading", { name: "Someone else opened this screen" }).waitFor();
  await ann.page.getByRole("button", { name: "Take it back" }).click();
  await connected(ann.page);
  await admin.page.getByRole("heading", { name: "Someone else opened this screen" }).waitFor();
  assertNoErrors(ann);
  assertNoErrors(admin);
});

Deno.test("the console connects again by itself after the dashboard was restarted", async () => {
  await using ann = await signIn("ann", pool.password);
  const { page } = ann;
  await page.getByRole("button", { name: openButton }).click();
  await connected(page);
  await stand.stop();
  await page.getByText("Connecting again…").waitFor();
  await stand.launch();
  await connected(page);
});

Deno.test("a desktop that is switched off says so, starts again on request, and its end is explained", async () => {
  const admin = await stand.admin();
  await using ann = await signIn("ann", pool.password);
  const { page } = ann;
  await page.getByRole("button", { name: openButton }).click();
  await connected(page);
  await openMenu(page, "Power");
  await page.getByRole("menuitem", { name: "Switch off by force…" }).click();
  await page.getByRole("button", { name: "Switch off", exact: true }).click();
  await page.getByRole("heading", { name: /is switched off/ }).waitFor();
  await page.getByRole("button", { name: "Start it again" }).click();
  await connected(page);
  const { items: [lease] } = await admin.call("listLeases", { query: {} });
  await admin.call("endLease", { id: lease!.id });
  await page.getByText("Ended by admin.").waitFor();
  await page.getByRole("link", { name: "Back to my desktops" }).click();
  await page.getByRole("heading", { name: "My desktops" }).waitFor();
  assertNoErrors(ann);
});
