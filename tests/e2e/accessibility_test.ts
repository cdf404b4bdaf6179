/** The pages of the real product: accessible at desk and phone width, quiet on the console, and small to load. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { assertAccessible } from "../support/axe.ts";
import { startBrowser, type TestBrowser, type TestPage } from "../support/browser.ts";
import { type GoldenImage, makeGoldenImage, makePool, type TestPool } from "../support/golden_image.ts";
import { adminPassword, Stand } from "../support/stand.ts";

const prefix = "e2e-axe-";
const openButton = `Open ${prefix}office`;
const firstLoadLimitBytes = 350 * 1000;
const started = new AsyncDisposableStack();
let stand: Stand;
let browser: TestBrowser;
let golden: GoldenImage;
let pool: TestPool;
let setupPages: TestPage[];

const views = [
  { width: 1280, colorScheme: "light" },
  { width: 390, colorScheme: "dark" },
] as const;
type View = (typeof views)[number];
const named = ({ width, colorScheme }: View) => `at ${width} px, ${colorScheme}`;

Deno.test.beforeAll(async () => {
  stand = started.use(await Stand.start({ prefix }));
  browser = started.use(await startBrowser());
  // Opened now, as there is nothing left to set up afterwards.
  setupPages = await Promise.all(views.map((view) => browser.open({ url: stand.setupLink!, ...view })));
  for (const { page } of setupPages) {
    await page.getByRole("button", { name: "Create administrator" }).waitFor();
  }
  golden = await makeGoldenImage(stand, { vdis: 1 });
  pool = await makePool(stand, "office", [golden.vdis[0]!.id], ["ann"]);
});
Deno.test.afterAll(() => started.disposeAsync());

async function signIn(view: View, username: string, password: string, path: string): Promise<TestPage> {
  const opened = await browser.open({ url: stand.url + path, ...view });
  await fillSignIn(opened.page, username, password);
  return opened;
}

async function fillSignIn(page: Page, username: string, password: string): Promise<void> {
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function loaded(page: Page): Promise<void> {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
}

Deno.test("the setup page is accessible at both widths", async () => {
  for (const setup of setupPages) {
    await assertAccessible(setup.page, "setup");
    assert.deepEqual(setup.errors, []);
    await setup[Symbol.asyncDispose]();
  }
});

for (const view of views) {
  Deno.test(`the sign-in page is accessible ${named(view)}`, async () => {
    await using it = await browser.open({ url: stand.url, ...view });
    await it.page.getByRole("button", { name: "Sign in" }).waitFor();
    await assertAccessible(it.page, "sign-in");
    assert.deepEqual(it.errors, []);
  });

  Deno.test(`the portal, and the console with its bar open, are accessible ${named(view)}`, async () => {
    await using ann = await signIn(view, "ann", pool.password, "/desktops");
    const { page } = ann;
    const open = page.getByRole("button", { name: openButton });
    await open.waitFor();
    await assertAccessible(page, "portal");
    await open.click();
    await page.locator(".kv-console[data-state=connected]").waitFor({ timeout: 60_000 });
    await page.mouse.move(view.width / 2, 2);
    for (const name of ["Keys", "View", "Power"]) {
      const button = page.getByRole("button", { name, exact: true });
      await button.click();
      await assertAccessible(page, `console, ${name}`);
      const menu = (await page.getByRole("menu").boundingBox())!;
      assert.ok(menu.x >= 0 && menu.x + menu.width <= view.width, `${name} lies at ${JSON.stringify(menu)}`);
      await button.click();
    }
    assert.deepEqual(ann.errors, []);
  });

  Deno.test(`the admin's pages are accessible ${named(view)}`, async () => {
    await using admin = await signIn(view, "admin", adminPassword, "/overview");
    const { page } = admin;
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    const paths = [
      "/overview",
      "/machines",
      "/machines?view=grouped",
      `/machines/${golden.initial.id}`,
      `/machines/${golden.vdis[0]!.id}`,
      "/machines/new?role=source",
      "/machines/new?role=vdi",
      `/desktop-pools/${pool.id}`,
    ];
    for (const path of paths) {
      await page.goto(stand.url + path);
      await loaded(page);
      await assertAccessible(page, path);
    }
    assert.deepEqual(admin.errors, []);
  });
}

Deno.test("the first load of / and the admin's overview takes less than 350 kB of JavaScript over the wire", async () => {
  await using it = await browser.open();
  const { page } = it;
  const sizes = new Map<string, Promise<number>>();
  page.on("requestfinished", (request) => {
    if (request.resourceType() !== "script") return;
    sizes.set(request.url(), request.sizes().then(({ responseBodySize }) => responseBodySize));
  });
  await page.goto(stand.url);
  await fillSignIn(page, "admin", adminPassword);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await loaded(page);
  const bytes = (await Promise.all(sizes.values())).reduce((sum, size) => sum + size, 0);
  assert.ok(sizes.size >= 3 && bytes > 50_000, `only ${sizes.size} files with ${bytes} bytes were seen`);
  assert.ok(bytes < firstLoadLimitBytes, `${bytes} bytes in ${sizes.size} files`);
});
