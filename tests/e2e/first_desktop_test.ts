/**
 * From an empty system to a desktop on a user's screen, as an admin does it: in the browser, along the "First desktop"
 * guide, against real libvirt. What was clicked is asserted with virsh, qemu-img and the guest itself.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { run } from "../../lib/process.ts";
import { startBrowser, type TestBrowser, type TestPage } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { guestOf } from "../support/guest.ts";
import { Stand, virsh } from "../support/stand.ts";

const password = "correct horse battery";
const userPassword = "a phrase for dora";
const started = new AsyncDisposableStack();
let stand: Stand;
let browser: TestBrowser;
let admin: TestPage;
const dialog = (page: Page) => page.getByRole("dialog");

Deno.test.beforeAll(async () => {
  stand = started.use(await Stand.start({ prefix: "e2e-first-" }));
  await stand.demoImage();
  browser = started.use(await startBrowser());
  admin = await browser.open({ url: stand.setupLink!, width: 1440, height: 900 });
});
Deno.test.afterAll(() => started.disposeAsync());

/** Fills the creation page's common fields with a small machine and submits it. */
async function createMachine(page: Page, name: string, submit: string | RegExp): Promise<void> {
  await page.getByLabel(/^Name/).fill(stand.name(name));
  await page.getByLabel("vCPUs").fill("1");
  await page.getByLabel("Memory (MiB)").fill("192");
  await page.locator("#network").selectOption("none");
  await page.getByRole("button", { name: submit }).click();
}

const step = (page: Page, title: string) => page.locator("li", { hasText: title });
const toOverview = (page: Page) => page.getByRole("link", { name: "Overview" }).first().click();
const diskOf = async (name: string) =>
  (await virsh("domblklist", stand.name(name))).match(/vda\s+(\S+)/)?.[1];
const infoOf = async (path: string) =>
  JSON.parse((await run(["qemu-img", "info", "-U", "--output=json", path])).stdout);

Deno.test("the setup link makes the first admin, once, and leads to the guide", async () => {
  const { page } = admin;
  await page.locator("#password").fill("short");
  await page.getByLabel("Password again").fill("short");
  assert.ok(await page.getByRole("button", { name: "Create administrator" }).isDisabled());
  await page.locator("#password").fill(password);
  await page.getByLabel("Password again").fill(password);
  await page.getByRole("button", { name: "Create administrator" }).click();
  await page.getByRole("heading", { name: "First desktop" }).waitFor();
  await using other = await browser.open({ url: stand.setupLink! });
  await other.page.getByText("This setup link has been used").waitFor();
});

Deno.test("a source is imported from an image on the hypervisor", async () => {
  const { page } = admin;
  await page.getByRole("link", { name: "Create a source" }).click();
  await page.locator("#disk").selectOption({
    label: "A copy of an image on the hypervisor",
  });
  const image = page.locator("#importPath");
  await image.locator("option", { hasText: "demo.qcow2" }).waitFor({ state: "attached" });
  await image.selectOption(await image.locator("option", { hasText: "demo.qcow2" }).getAttribute("value"));
  await createMachine(page, "source", "Create source");
  await eventually("libvirt has the domain with its disk", () => diskOf("source").catch(() => null));
  await page.getByText("Shut off").first().waitFor();
});

Deno.test("an initial is copied from the source, and the copy's progress is seen", async () => {
  const { page } = admin;
  const source = (await diskOf("source"))!;
  // More to copy, so that there is something to see.
  await run(["qemu-img", "resize", "-q", source, "4G"]);
  await run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 0x5a 1G 1G", source]);
  await toOverview(page);
  await page.getByRole("link", { name: "Create an initial" }).click();
  await page.getByRole("option", { name: stand.name("source") }).waitFor({ state: "attached" });
  await createMachine(page, "initial", "Create initial");
  const bar = page.getByRole("progressbar").first();
  await eventually("the bar moves", async () => Number(await bar.getAttribute("aria-valuenow")) > 0, {
    timeoutMs: 30_000,
    everyMs: 50,
  });
  const path = await eventually("the initial has its image", () => diskOf("initial"), { timeoutMs: 60_000 });
  await eventually("the copy is whole", async () => {
    await run(["qemu-img", "compare", "-U", source, path]);
    return true;
  }, { timeoutMs: 60_000 });
});

Deno.test("three desktops are made and populated as linked clones of the initial", async () => {
  const { page } = admin;
  await toOverview(page);
  await step(page, "Make desktops").getByRole("link", { name: "Create desktops" }).click();
  await page.getByLabel("How many").fill("3");
  await createMachine(page, "{n}", "Create 3 desktops");
  const base = await diskOf("initial");
  for (const name of ["1", "2", "3"]) {
    await eventually(`${name} is a clone`, async () => {
      const disk = await diskOf(name);
      return disk && (await infoOf(disk))["full-backing-filename"] === base;
    }, { timeoutMs: 30_000 });
    await page.getByRole("link", { name: stand.name(name), exact: true }).waitFor();
  }
});

Deno.test("a desktop pool gets the machines and a user who may use it", async () => {
  const { page } = admin;
  await toOverview(page);
  await page.getByRole("link", { name: "Create a user" }).first().click();
  await dialog(page).getByLabel("User name").fill("dora");
  await dialog(page).getByLabel("Full name").fill("Dora");
  await dialog(page).getByLabel("Password").fill(userPassword);
  await dialog(page).getByRole("button", { name: "Create" }).click();
  await dialog(page).waitFor({ state: "detached" });

  await toOverview(page);
  await page.getByRole("link", { name: "Create a desktop pool" }).click();
  await dialog(page).getByLabel("Name").fill("Office desktop");
  await dialog(page).getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "Office desktop", level: 1 }).waitFor();
  await page.getByRole("button", { name: /machines/i }).first().click();
  await dialog(page).getByRole("checkbox").first().check();
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await dialog(page).waitFor({ state: "detached" });
  await page.getByRole("button", { name: /users/i }).first().click();
  await dialog(page).getByRole("checkbox", { name: /dora/ }).check();
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await dialog(page).waitFor({ state: "detached" });
});

Deno.test("the user signs in, the desktop opens, and what is typed reaches the guest", async () => {
  await using dora = await browser.open({ url: stand.url });
  const { page } = dora;
  await page.getByLabel("User name").fill("dora");
  await page.getByLabel("Password").fill("not this one");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(/wrong/i).first().waitFor();
  await page.getByLabel("Password").fill(userPassword);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Open Office desktop" }).click();
  await page.locator(".kv-console[data-state=connected]").waitFor({ timeout: 60_000 });
  const running = await virsh("list", "--name");
  const name = running.split("\n").find((one) => one.startsWith(stand.prefix))!;
  await guestOf(name).ready();
  await page.keyboard.type("dora was here\n");
  await eventually("the guest has the line", async () => await guestOf(name).lastTyped() === "dora was here");
  await admin.page.getByRole("link", { name: "Sessions" }).click();
  await admin.page.getByText("dora").first().waitFor();
});

Deno.test("no page of the way wrote an error to the console", () => {
  // What the browser itself reports of answers that refuse: the pages say those in words.
  assert.deepEqual(admin.errors.filter((text) => !/status of 40[19]/.test(text)), []);
});
