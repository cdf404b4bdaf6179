/** Desktop pools, sessions, the portal and settings in Chromium against an in-memory API. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { Desktop } from "../../contracts/desktop.ts";
import { assertAccessible } from "../support/axe.ts";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { openUi, type UiPage } from "../support/ui_page.ts";
import { largeWorld } from "../support/ui_world.ts";
import { GiB, idOf } from "../support/ui_world_parts.ts";

let browser: TestBrowser;
Deno.test.beforeAll(async () => void (browser = await startBrowser()));
Deno.test.afterAll(async () => await browser[Symbol.asyncDispose]());

const open = (path: string, options?: Parameters<typeof openUi>[2]) => openUi(browser, path, options);
const row = (page: Page, name: string) => page.getByRole("row").filter({ hasText: name });
const dialog = (page: Page) => page.getByRole("dialog");
const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name, exact: true });
const office = `/desktop-pools/${idOf(6, 1)}`;

Deno.test("a desktop pool gets spares, a schedule and data disks; a time that can't be right is not saved", async () => {
  await using it = await open(`/desktop-pools/${idOf(6, 4)}`);
  const { page, server } = it;
  await button(page, "Edit").click();
  await dialog(page).getByLabel("Warm spares").fill("4");
  await button(page, "Add a time").click();
  await button(page, "Friday").click();
  await page.getByLabel("Time of day 1").fill("08:15");
  await page.getByLabel("Desktops that run after time 1").fill("0");
  await dialog(page).getByText("say how many: 1 to 2,000").waitFor();
  assert.ok(await dialog(page).getByRole("button", { name: "Save" }).isDisabled());
  await page.getByLabel("Desktops that run after time 1").fill("25");
  await button(page, "Add a time").click();
  await page.getByLabel("What is done at time 2").selectOption("shut-down-idle");
  await button(page, /^Remove time 1/).waitFor();
  await page.getByLabel("Data disk").selectOption("user");
  await page.getByLabel("Size of a data disk (GiB)").fill("2.5");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await page.getByText("Mon to Thu at 08:15: start, until 25 desktops run").waitFor();
  await page.getByText("2.5 GiB for each user, on whatever machine").waitFor();
  const { policy } = server.world.pools[3]!;
  assert.deepEqual(policy.schedule.map(({ days, at, action }) => [days.length, at, action]), [
    [4, "08:15", "start"],
    [5, "07:45", "shut-down-idle"],
  ]);
  assert.deepEqual([policy.spares, policy.dataDisk], [4, { scope: "user", bytes: 2.5 * GiB }]);
  assert.deepEqual(it.errors, []);
});

Deno.test("a pool's page tells how its machines are spread, and members are chosen by hypervisor", async () => {
  await using it = await open(office);
  const { page, server } = it;
  const spread = page.getByRole("grid", { name: "Machines by hypervisor" });
  await spread.getByRole("row").filter({ hasText: "hv-3" }).getByText("Offline").waitFor();
  await spread.getByRole("link", { name: "300" }).first().waitFor();
  await button(page, "Choose machines").click();
  await dialog(page).getByLabel("Hypervisor").selectOption({ label: "hv-2" });
  await dialog(page).getByText("hv-1 · ").first().waitFor({ state: "detached" });
  await dialog(page).getByText("hv-2 · ").first().waitFor();
  await button(page, "Select none").click();
  await dialog(page).getByRole("button", { name: /^Select all 66\d$/ }).click();
  await dialog(page).getByRole("button", { name: /^Save 6\d\d machines$/ }).click();
  await dialog(page).waitFor({ state: "detached" });
  const hosts = new Set(
    server.world.machines.filter(({ desktopPools }) => desktopPools.some(({ id }) => id === idOf(6, 1)))
      .map(({ hypervisorId }) => hypervisorId),
  );
  assert.deepEqual([...hosts], [idOf(2, 2)]);
});

Deno.test("desktops without room are counted apart from the free ones", async () => {
  const world = largeWorld();
  const counts = { total: 9, free: 5, inUse: 1, spares: 2, starting: 0, maintenance: 0, full: 3, broken: 0 };
  Object.assign(world.pools[0]!, { counts });
  await using it = await open("/desktop-pools", { world });
  const words = row(it.page, "Office desktop");
  await words.getByText("5 free, 2 of them running").waitFor();
  await words.getByText("3 without room").waitFor();
});

Deno.test("the check of a user says how every machine stands", async () => {
  await using it = await open(office);
  const { page } = it;
  await page.getByLabel("User name").fill("eva.eriksen");
  await button(page, "Check").click();
  const reasons = page.getByRole("region", { name: "How the machines of Office desktop stand" });
  await reasons.getByText("its hypervisor is offline").first().waitFor();
  assert.equal(await reasons.getByRole("row").count(), 21);
});

Deno.test("a session says why its machine was chosen; a lost one is marked, with the reason", async () => {
  const world = largeWorld();
  const message = "The hypervisor hv-2 is offline: no answer.";
  world.leases[1]!.error = { code: "unavailable", message };
  await using it = await open("/sessions", { world });
  const { page } = it;
  await row(page, world.leases[1]!.username).first().getByText("Lost: host offline").waitFor();
  await page.getByText(message).waitFor();
  const why = page.getByRole("button", { name: new RegExp(`^Why .* for ${world.leases[0]!.username}\\?$`) });
  await why.click();
  await page.getByText("chosen: it runs already").waitFor();
  assert.equal(await why.getAttribute("aria-expanded"), "true");
  await why.click();
  await page.getByText("chosen: it runs already").waitFor({ state: "detached" });
  await row(page, world.leases[2]!.username).getByText(/ends at (\d+ \w+, )?\d\d:\d\d/).waitFor();
});

Deno.test("a machine that is kept for the user who lost it can be released, after saying what goes with it", async () => {
  const world = largeWorld();
  const machine = world.machines.find(({ name }) => name === "kiosk-009")!;
  machine.keptFor = { userId: idOf(4, 3), username: "dmitri.dvorak", until: Date.now() + 3_600_000 };
  await using it = await open("/machines?q=kiosk-009", { world });
  await button(it.page, "Actions for kiosk-009").click();
  await it.page.getByRole("menuitem", { name: "Release, kept for dmitri.dvorak" }).click();
  await dialog(it.page).getByText("work on it that was not saved is lost").waitFor();
  await dialog(it.page).getByRole("button", { name: "Release" }).click();
  await row(it.page, "kiosk-009").getByText("Kept for dmitri.dvorak").waitFor({ state: "detached" });
  assert.equal(machine.keptFor, null);
});

/** The portal of the user who holds the n-th lease of the made-up world. */
async function openAsUserOf(
  n: number,
  patch: Partial<Desktop> = {},
  options: { width?: number; dark?: boolean; console?: boolean } = {},
): Promise<UiPage> {
  const world = largeWorld();
  const lease = world.leases[n]!;
  Object.assign(lease, patch);
  // The first user of a world is who is signed in.
  world.users.unshift(...world.users.splice(world.users.findIndex(({ id }) => id === lease.userId), 1));
  return await open(options.console ? `/console/desktop/${lease.id}` : "/desktops", { world, ...options });
}

Deno.test("a desktop that is taken away soon says when, why, and counts down", async () => {
  const notice = { message: "Office desktop is renewed.", endsAt: Date.now() + 5 * 60_000 };
  await using it = await openAsUserOf(0, { notice });
  const { page, server } = it;
  await page.getByText(/Your session ends at (\d+ \w+, )?\d\d:\d\d: save your work/).waitFor();
  await page.getByText("Office desktop is renewed.").waitFor();
  await page.getByText(/^4:5\d$/).waitFor();
  const { world } = server;
  server.publish({ type: "desktop", desktop: { ...world.leases[0]!, notice: null } });
  await page.getByText("Office desktop is renewed.").waitFor({ state: "detached" });
});

Deno.test("over the console the notice can be hidden, stays in the bar, and comes back for the last minute", async () => {
  const notice = { message: "hv-1 is taken out of service.", endsAt: Date.now() + 66_000 };
  await using it = await openAsUserOf(0, { notice }, { console: true });
  const { page } = it;
  await page.getByText(notice.message).waitFor();
  await page.getByRole("timer").getByText(/^Ends in 1:0\d$/).waitFor();
  await button(page, "Hide").click();
  await page.getByText(notice.message).waitFor({ state: "detached" });
  await page.getByText(notice.message).waitFor();
  await page.getByRole("timer").getByText(/^Ends in (1:00|0:5\d)$/).waitFor();
});

Deno.test("a desktop in the queue of starts says how many are before it, live", async () => {
  await using it = await openAsUserOf(5);
  const { page, server } = it;
  await page.getByText("2 are being started before yours").waitFor();
  server.publish({ type: "desktop", desktop: { ...server.world.leases[5]!, queued: 0 } });
  await page.getByText("Yours is the next to be started").waitFor();
});

Deno.test("a desktop whose hypervisor is lost says so, and another one can be had", async () => {
  const error = { code: "unavailable" as const, message: "The hypervisor hv-1 is offline." };
  await using it = await openAsUserOf(0, { error });
  await it.page.getByText("Can't be reached").waitFor();
  await it.page.getByRole("button", { name: "Get another Office desktop" }).click();
  await it.page.getByText("Office desktop can't be reached now").waitFor();
  await button(it.page, "Get another desktop").waitFor();
});

Deno.test("the new settings are saved; the dashboard's SSH keys are there to be copied", async () => {
  await using it = await open("/settings");
  const { page, server } = it;
  await page.getByLabel("Versions kept of every image").fill("5");
  await page.getByLabel("Space for uploads on each hypervisor (GiB)").fill("0");
  await page.getByLabel("Keep a lost desktop for its user (hours)").fill("24");
  await button(page, "Save").click();
  await page.getByText("Settings saved").waitFor();
  const { keepImageVersions, uploadQuotaGiB, keepLostDesktopHours } = server.world.settings;
  assert.deepEqual([keepImageVersions, uploadQuotaGiB, keepLostDesktopHours], [5, 0, 24]);
  await it.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await button(page, "Copy ed25519 key").click();
  await button(page, "ed25519 key copied").waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^ssh-ed25519 AAAA/);
});

for (const [width, dark] of [[1280, false], [390, true]] as const) {
  Deno.test(`pool dialogs, reasons, notices and keys are accessible at ${width} px${dark ? ", dark" : ""}`, async () => {
    await using it = await open(office, { width, dark });
    const { page } = it;
    await button(page, "Edit").click();
    await dialog(page).getByLabel("Warm spares").waitFor();
    await assertAccessible(page, "the policy");
    await page.keyboard.press("Escape");
    await page.getByLabel("User name").fill("eva.eriksen");
    await button(page, "Check").click();
    await page.getByRole("region", { name: "How the machines of Office desktop stand" }).waitFor();
    await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
    await assertAccessible(page, "the check");
    await page.goto(`${it.server.url}/sessions`);
    await page.getByRole("button", { name: /^Why / }).first().click();
    await page.getByText("chosen: it runs already").waitFor();
    await assertAccessible(page, "why a session has its machine");
    const notice = { message: "Office desktop is renewed.", endsAt: Date.now() + 5 * 60_000 };
    for (const console of [false, true]) {
      await using user = await openAsUserOf(0, { notice }, { width, dark, console });
      await user.page.getByText(notice.message).waitFor();
      await assertAccessible(user.page, console ? "the notice over a console" : "the notice in the portal");
    }
    assert.deepEqual(it.errors, []);
  });
}
