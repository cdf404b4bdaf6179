/**
 * As an admin does it in the browser: two hosts are added, desktops spread over them, a file uploaded, a new version
 * published and taken back. Asserted on the hosts themselves.
 */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { startBrowser, type TestPage } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { adminPassword, demoGuest } from "../support/stand.ts";
import { remoteImageDir, TwoHosts } from "../support/two_hosts.ts";

const started = new AsyncDisposableStack();
let lab: TwoHosts;
let admin: TestPage;

Deno.test.beforeAll(async () => {
  lab = started.use(await TwoHosts.start("e2e-ui-"));
  const browser = started.use(await startBrowser());
  admin = await browser.open({ url: lab.stand.url, width: 1440, height: 900 });
  await admin.page.getByLabel("User name").fill("admin");
  await admin.page.locator("input[type=password]").fill(adminPassword);
  await admin.page.getByRole("button", { name: "Sign in" }).click();
  await admin.page.getByRole("link", { name: "Hypervisors" }).first().waitFor();
});
Deno.test.afterAll(() => started.disposeAsync());

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const dialog = (page: Page) => page.getByRole("dialog");
const toPage = (page: Page, name: string) =>
  page.getByRole("navigation", { name: "Console" }).getByRole("link", { name, exact: true }).click();

Deno.test("a host is added: its key compared, a wrong password corrected, the agent installed", async () => {
  const { page } = admin;
  const [north] = lab.hosts;
  await toPage(page, "Hypervisors");
  await page.getByRole("link", { name: "Add hypervisor" }).first().click();
  await page.getByLabel("Address").fill(north.address);
  await page.getByLabel("SSH port").fill(String(north.port));
  await page.getByLabel("Name", { exact: true }).fill("north");
  await button(page, "Read host key").click();
  await page.getByText(await north.fingerprint()).waitFor();
  await page.getByLabel("The host shows the same fingerprint").check();
  await button(page, "Next").click();
  await page.getByLabel("Account on the host").fill(north.setupUser);
  await page.locator("#enrol-password").fill("a wrong one");
  await button(page, "Add and install").click();
  await page.getByText("The agent of north was not installed").waitFor({ timeout: 60_000 });
  await page.locator("#enrol-password").fill(north.setupPassword);
  await button(page, "Install again").click();
  await page.getByText("north is ready").waitFor({ timeout: 120_000 });
  const { items } = await lab.admin.call("listHypervisors", { query: {} });
  north.hypervisorId = items.find(({ name }) => name === "north")!.id;
  await page.getByRole("link", { name: "Open north" }).click();
  await page.getByRole("heading", { level: 1, name: "north" }).waitFor();
  assert.equal((await north.pids("kvm-vdi agent")).length, 1);
  assert.deepEqual(admin.errors, []);
});

Deno.test("a disk image is uploaded by the browser, byte for byte", async () => {
  const { page } = admin;
  const [north, south] = lab.hosts;
  await south.enrol(lab.admin);
  for (const { hypervisorId } of lab.hosts) {
    await lab.admin.call("updateHypervisor", {
      id: hypervisorId,
      body: { settings: { domainType: "qemu" }, capacity: { memoryOvercommit: 4 } },
    });
  }
  await toPage(page, "Storage");
  await page.getByLabel("Hypervisor", { exact: true }).selectOption({ label: "north" });
  await page.getByLabel("Files to upload", { exact: true }).setInputFiles(demoGuest);
  await page.getByText("checksum verified").waitFor({ timeout: 60_000 });
  const [ours, theirs] = await Promise.all([
    north.sha256(demoGuest),
    north.sha256(`${remoteImageDir}/demo.qcow2`),
  ]);
  assert.equal(theirs, ours);
  assert.deepEqual(admin.errors, []);
});

Deno.test("a new version is published to desktops on both hosts, and taken back, by the images page", async () => {
  const { page } = admin;
  await lab.makeDesktops(2);
  await lab.admin.done((await lab.admin.call("copyDisk", { id: lab.initial.id })).job, 120_000);
  await toPage(page, "Images");
  await page.getByRole("link", { name: lab.initial.name, exact: true }).first().click();
  await page.getByRole("heading", { level: 1, name: lab.initial.name }).waitFor();
  const step = (title: string) => page.getByRole("listitem").filter({ hasText: title });
  await step("Version sealed").getByRole("button").first().click();
  await dialog(page).getByRole("button", { name: "Seal" }).click();
  await step("Version published").getByRole("button", { name: "Publish version 2" }).click({
    timeout: 60_000,
  });
  await dialog(page).getByRole("button", { name: "Publish version 2" }).click();
  const versions = async () =>
    (await Promise.all(lab.vdis.map((vdi) => lab.baseOf(vdi)))).map((path) => /\.v(\d+)\./.exec(path)?.[1]);
  await eventually("both desktops are on version 2", async () => (await versions()).join() === "2,2", {
    timeoutMs: 60_000,
  });
  await page.getByRole("button", { name: /^Actions for version 1/ }).click();
  await page.getByRole("menuitem", { name: /Roll back/ }).click();
  await dialog(page).getByRole("button", { name: /Roll back/ }).click();
  await eventually("both are back on version 1", async () => (await versions()).join() === "1,1", {
    timeoutMs: 60_000,
  });
  assert.deepEqual(admin.errors, []);
});
