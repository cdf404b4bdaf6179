/** Images in Chromium against an in-memory API: versions, the checklist, publishing, rolling back. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { AppError } from "../../contracts/errors.ts";
import { assertAccessible } from "../support/axe.ts";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { openUi, requestsOf } from "../support/ui_page.ts";
import type { UiServer } from "../support/ui_server.ts";

let browser: TestBrowser;
Deno.test.beforeAll(async () => void (browser = await startBrowser()));
Deno.test.afterAll(async () => await browser[Symbol.asyncDispose]());

const open = (path: string, options?: Parameters<typeof openUi>[2]) => openUi(browser, path, options);
const imageOf = (server: UiServer, name: string) => server.world.images.find((one) => one.name === name)!;
const row = (page: Page, version: string) => page.getByRole("row").filter({ hasText: version }).first();

/** Opens the page of an image by its name. */
async function openImage(name: string) {
  const it = await open("/images");
  await it.page.getByRole("link", { name, exact: true }).click();
  await it.page.getByRole("heading", { level: 1, name }).waitFor();
  return it;
}

async function menu(page: Page, what: string, item: string) {
  await page.getByRole("button", { name: `Actions for ${what}` }).click();
  await page.getByRole("menuitem", { name: item }).click();
}

Deno.test("every initial shows its versions: what is current, what is being copied, what is missing where", async () => {
  await using it = await open("/images");
  const { page, server } = it;
  const lab = page.getByRole("region", { name: "debian-lab" });
  await row(page, "Being copied").waitFor();
  await lab.getByText("Copy disk: debian-lab").waitFor();
  await lab.getByText(/14 GiB of 40 GiB · .*left/).waitFor();
  const kiosk = page.getByRole("region", { name: "kiosk" });
  await kiosk.getByText("hv-1: missing").waitFor();
  await kiosk.getByText("hv-2: no space left").waitFor();
  await lab.getByRole("button", { name: "Cancel Copy disk: debian-lab" }).click();
  await lab.getByText("Copy disk: debian-lab").waitFor({ state: "detached" });
  assert.equal(requestsOf(server, "DELETE", "/api/jobs/").length, 1);
  assert.deepEqual(it.errors, []);
});

Deno.test("an image changes on the page when the dashboard says so", async () => {
  await using it = await open("/images");
  const { page, server } = it;
  const card = page.getByRole("region", { name: "cad-station" });
  await card.getByText("New CAD release").waitFor();
  imageOf(server, "cad-station").versions[0]!.note = "Newer CAD release";
  server.publish({ type: "image", id: imageOf(server, "cad-station").id });
  await card.getByText("Newer CAD release").waitFor();
});

Deno.test("the checklist leads from a draft over sealing and publishing to the desktops", async () => {
  await using it = await openImage("cad-station");
  const { page, server } = it;
  const image = imageOf(server, "cad-station");
  await page.getByRole("button", { name: "What to prepare on Windows" }).click();
  await page.getByText("sysprep.exe /generalize /oobe /shutdown").waitFor();
  await page.getByRole("listitem").filter({ hasText: "Version sealed" }).getByRole("button").click();
  await page.getByRole("dialog").getByRole("button", { name: "Seal" }).click();
  await page.getByText("Sealed version 4 of cad-station").waitFor();
  assert.equal(image.versions[0]?.state, "sealed");

  await page.getByRole("listitem").filter({ hasText: "Version published" })
    .getByRole("button", { name: "Publish version 4" }).click();
  const dialog = page.getByRole("dialog");
  const user = server.world.machines.find((one) => one.sourceId === image.id && one.lease)!;
  await dialog.getByText(`${user.lease!.username} on ${user.name}`).waitFor();
  await dialog.getByText(/400 desktops will move: \d+ in use, \d+ running without a user/).waitFor();
  await dialog.getByRole("button", { name: "Publish version 4" }).click();

  await page.getByRole("heading", { name: "Rollout of version 4" }).waitFor();
  assert.equal(image.rollout?.mode, "rolling");
  await page.getByText(`${user.lease!.username} is working on it.`).waitFor();
  await page.getByRole("button", { name: "Stop the rollout" }).click();
  await page.getByRole("dialog").getByText(user.name, { exact: true }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  await page.getByRole("heading", { name: "Rollout of version 4" }).waitFor({ state: "detached" });

  await page.getByRole("button", { name: "Turn virtual snapshots on for all 400 desktops" }).click();
  await page.getByText("Virtual snapshot on: 400 machines done").waitFor();
  await page.getByRole("button", { name: "End maintenance for all desktops" }).click();
  await page.getByText(/Maintenance off: \d+ machines done/).waitFor();
  assert.ok(
    server.world.machines.filter((one) => one.sourceId === image.id).every((one) =>
      one.virtualSnapshot && !one.maintenance
    ),
  );
  assert.deepEqual(it.errors, []);
});

Deno.test("an older version is rolled back to, at once with a countdown and a message", async () => {
  await using it = await openImage("kiosk");
  const { page, server } = it;
  await page.getByRole("button", { name: "Roll back to version 1" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("heading", { name: "Roll kiosk back to version 1" }).waitFor();
  await dialog.getByLabel("Now", { exact: true }).check();
  await dialog.getByText(/\d+ users will be asked off/).waitFor();
  await dialog.getByLabel("Countdown (minutes)").fill("-1");
  assert.equal(await dialog.getByRole("button", { name: "Roll back to version 1" }).isDisabled(), true);
  await dialog.getByLabel("Countdown (minutes)").fill("10");
  await dialog.getByLabel("Message to users").fill("We go back to last month's desktop.");
  await dialog.getByRole("button", { name: "Roll back to version 1" }).click();
  await page.getByText(/sessions end in \d/).waitFor();
  const image = imageOf(server, "kiosk");
  assert.equal(image.versions.find((one) => one.current)?.number, 1);
  assert.equal(image.rollout?.mode, "now");
  await row(page, "Version 3").getByRole("button", { name: "Publish version 3" }).waitFor();
  assert.deepEqual(it.errors, []);
});

Deno.test("a desktop that could not move is tried again; those in use are left alone", async () => {
  await using it = await openImage("win11-office");
  const { page, server } = it;
  const rollout = imageOf(server, "win11-office").rollout!;
  const off = rollout.waiting.find(({ machineId }) =>
    server.world.machines.some((one) => one.id === machineId && one.state === "shut-off")
  )!;
  const on = rollout.waiting.find(({ machineId }) =>
    server.world.machines.some((one) => one.id === machineId && one.state === "running")
  )!;
  await page.getByRole("button", { name: `Try again: ${off.name}` }).click();
  await page.getByText("Moved 1 desktop of win11-office").waitFor();
  await page.getByRole("listitem").filter({ hasText: off.name }).waitFor({ state: "detached" });
  assert.equal(await page.getByRole("button", { name: `Try again: ${on.name}` }).count(), 0);
  assert.equal(rollout.waiting.some((one) => one.name === off.name), false);
});

Deno.test("copying from the source makes a new version beside the old, which is a draft then", async () => {
  await using it = await openImage("kiosk");
  const { page, server } = it;
  const source = server.world.machines.find((one) => one.name === "kiosk-source")!;
  source.state = "running";
  await page.getByRole("button", { name: "Copy disk from source" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("kiosk-source is not shut off").waitFor();
  await dialog.getByLabel("Note").fill("With the new browser");
  await dialog.getByRole("button", { name: "Copy disk" }).click();
  await row(page, "Version 4").getByText("Being copied").waitFor();
  await row(page, "Version 4").getByText("Draft").waitFor();
  await row(page, "Version 4").getByText("With the new browser").waitFor();
  assert.equal(imageOf(server, "kiosk").versions.length, 4);
});

Deno.test("a version says why it can't be deleted; the way back must be typed to be deleted", async () => {
  await using it = await openImage("kiosk");
  const { page, server } = it;
  await page.getByRole("button", { name: "Actions for version 3 of kiosk" }).click();
  const kept = page.getByRole("menuitem", { name: /Delete/ });
  await kept.getByText("publish another one first").waitFor();
  await kept.click({ force: true });
  assert.equal(await page.getByRole("dialog").count(), 0);
  await page.keyboard.press("Escape");
  await menu(page, "version 1 of kiosk", "Delete");
  const dialog = page.getByRole("dialog");
  const confirm = dialog.getByRole("button", { name: "Delete version" });
  assert.equal(await confirm.isDisabled(), true);
  await dialog.getByLabel('Type "version 1" to confirm').fill("version 1");
  await confirm.click();
  await page.getByText("Deleted version 1 of kiosk").waitFor();
  await row(page, "Version 1").waitFor({ state: "detached" });
  assert.deepEqual(imageOf(server, "kiosk").versions.map((one) => one.number), [3, 2]);
});

Deno.test("a version is noted, pinned and copied to where it is missing", async () => {
  await using it = await openImage("kiosk");
  const { page, server } = it;
  const version = imageOf(server, "kiosk").versions[1]!;
  await menu(page, "version 2 of kiosk", "Note");
  await page.getByRole("dialog").getByLabel("Note").fill("Exam week");
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await row(page, "Exam week").waitFor();
  await menu(page, "version 2 of kiosk", "Pin");
  await row(page, "Exam week").getByText("Pinned").waitFor();
  await menu(page, "version 2 of kiosk", "Copy to hypervisors");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("hv-2: no space left on").waitFor();
  assert.equal(await dialog.getByLabel("hv-1").isChecked(), true);
  await dialog.getByRole("button", { name: "Copy", exact: true }).click();
  await page.getByText("Version 2 of kiosk is on all chosen hypervisors").waitFor();
  assert.ok(version.copies.every((copy) => copy.state === "present"));
  assert.deepEqual([version.note, version.pinned], ["Exam week", true]);
});

Deno.test("the desktops on a version are listed by name", async () => {
  await using it = await openImage("win11-office");
  const { page, server } = it;
  const old = server.world.machines.find((one) => one.outdated && one.imageVersion?.number === 2)!;
  await page.getByRole("button", { name: /desktops on version 2/ }).click();
  await page.getByRole("list", { name: "Desktops on version 2" }).getByText(old.name).waitFor();
});

Deno.test("a refusal to publish is said in the dialog, which stays", async () => {
  await using it = await openImage("kiosk");
  const { page, server } = it;
  server.failures.set(
    "publishVersion",
    new AppError("conflict", "Publish version 2 of kiosk: hv-3 is offline and has 26 of its machines."),
  );
  await page.getByRole("button", { name: "Roll back to version 2" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Roll back to version 2" }).click();
  await page.getByRole("dialog").getByText("hv-3 is offline and has 26 of its machines").waitFor();
});

for (const [width, dark] of [[1280, false], [390, true]] as const) {
  Deno.test(`the dialogs of images are accessible at ${width} px${dark ? ", dark" : ""}`, async () => {
    await using it = await open("/images", { width, dark });
    const { page } = it;
    const dialog = page.getByRole("dialog");
    await page.getByRole("link", { name: "kiosk", exact: true }).click();
    for (
      const opener of [
        page.getByRole("button", { name: "Copy disk from source" }).first(),
        page.getByRole("button", { name: "Roll back to version 2" }),
      ]
    ) {
      await opener.click();
      await dialog.waitFor();
      await assertAccessible(page, await dialog.getByRole("heading").first().innerText());
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
    }
    for (const item of ["Note", "Copy to hypervisors"]) {
      await menu(page, "version 2 of kiosk", item);
      await dialog.waitFor();
      await assertAccessible(page, item);
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
    }
    assert.deepEqual(it.errors, []);
  });
}
