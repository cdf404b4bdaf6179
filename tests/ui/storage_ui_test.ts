/** Storage, uploads and machines' disks in Chromium against an in-memory API. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Page } from "playwright-core";
import { AppError } from "../../contracts/errors.ts";
import { uploadPieceBytes } from "../../contracts/storage.ts";
import { assertAccessible } from "../support/axe.ts";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { eventually } from "../support/eventually.ts";
import { openUi, requestsOf } from "../support/ui_page.ts";
import type { UiServer } from "../support/ui_server.ts";
import { idOf } from "../support/ui_world_parts.ts";

let browser: TestBrowser;
let folder: string;
Deno.test.beforeAll(async () => {
  browser = await startBrowser();
  folder = await Deno.makeTempDir({ prefix: "kvm-vdi-uploads-" });
});
Deno.test.afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
});

const open = (path: string, options?: Parameters<typeof openUi>[2]) => openUi(browser, path, options);
const row = (page: Page, name: string) => page.getByRole("row").filter({ hasText: name });
const MiB = 1024 ** 2;

/** A file of two whole pieces and a bit. */
const isoBytes = new Uint8Array(2 * uploadPieceBytes + 12_345).map((_, index) => index * 31 % 253);
const sha256 = createHash("sha256").update(isoBytes).digest("hex");

/** Chooses a file of that name in the page's file dialog. */
async function choose(page: Page, name = "debian-13.iso", bytes = isoBytes): Promise<void> {
  const path = `${folder}/${name}`;
  await Deno.writeFile(path, bytes, { createNew: true }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error; // a file that was written again is another one
  });
  await page.getByLabel("Files to upload", { exact: true }).setInputFiles(path);
}

const receivedBytes = (server: UiServer) => server.world.uploads[0]?.receivedBytes ?? -1;
const pieces = (server: UiServer) => requestsOf(server, "PATCH", "/api/uploads/").length;

/** Uploads stop before the piece at this offset until they are let go, at the latest with the end of the test. */
function holdAt(server: UiServer, wanted: number): Disposable & { release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.beforePiece = async (offset) => {
    if (offset === wanted) await promise;
  };
  return { release: resolve, [Symbol.dispose]: resolve };
}

Deno.test("files are sorted by size, filtered by kind, and lead to what they belong to", async () => {
  await using it = await open("/storage");
  const { page } = it;
  await page.getByText(/Overlay:/).waitFor();
  await page.getByText(/1\.7 TiB free of 3\.9 TiB/).waitFor();
  const first = page.getByRole("row").nth(1);
  await first.getByText("old.v2.qcow2").waitFor();
  await page.getByRole("button", { name: "Size", exact: true }).click();
  await page.waitForURL(/order=asc/);
  await page.getByRole("button", { name: "Kind", exact: true }).first().click();
  await page.getByRole("option", { name: "Image version" }).click();
  await page.waitForURL(/kind=version/);
  await row(page, "cad-station.v3.qcow2").getByRole("link", { name: "cad-station", exact: true }).click();
  await page.waitForURL(/\/images\//);
  assert.deepEqual(it.errors, []);
});

Deno.test("strays and partial files are selected at once and deleted after a list; what is used can't be", async () => {
  await using it = await open("/storage");
  const { page, server } = it;
  await page.getByRole("button", { name: "Select 3 stray and partial files" }).click();
  await page.getByText("3 files, 31 GiB").waitFor();
  assert.equal(await row(page, "cad-station.v3.qcow2").getByRole("checkbox").isDisabled(), true);
  server.world.files[idOf(2, 1)]!.find((one) => one.path.endsWith("lab-077.qcow2"))!.removable = false;
  await page.getByRole("button", { name: "Delete selected files" }).click();
  await page.getByRole("dialog").getByText("old.v2.qcow2 (stray, 21 GiB)").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Delete 3 files" }).click();
  await page.getByText("1 file was not deleted").waitFor();
  await page.getByText(/lab-077\.qcow2: Something uses it now/).waitFor();
  await row(page, "old.v2.qcow2").waitFor({ state: "detached" });
  assert.equal(server.world.files[idOf(2, 1)]!.some((one) => one.path.endsWith(".partial")), false);
  assert.deepEqual(it.errors, []);
});

Deno.test("what an image takes is added up over its versions and overlays", async () => {
  await using it = await open("/storage?view=images");
  const { page } = it;
  const table = page.getByRole("grid", { name: "Disk usage of kiosk" });
  await table.getByRole("row").filter({ hasText: "kiosk.v3.qcow2" }).getByText(/27 overlays, 41\.3 GiB/)
    .waitFor();
  await table.getByRole("row").filter({ hasText: "kiosk.v3.qcow2" }).getByText("59.3 GiB").waitFor();
});

Deno.test("an offline hypervisor says why its files can't be read, and another one can be chosen", async () => {
  await using it = await open(`/storage?hypervisorId=${idOf(2, 3)}`);
  const { page } = it;
  await page.getByText("Read the files of hv-3: it is offline.").first().waitFor();
  assert.equal(await page.getByRole("button", { name: "Choose files" }).isDisabled(), true);
  await page.getByLabel("Hypervisor", { exact: true }).selectOption({ label: "hv-2" });
  await row(page, "kiosk.v3.qcow2").waitFor();
});

Deno.test("a personal data disk is deleted only when its owner's name is typed", async () => {
  await using it = await open("/storage?view=data-disks&q=carla.costa");
  const { page, server } = it;
  const before = server.world.dataDisks.length;
  await page.getByRole("button", { name: "Actions for the data disk of carla.costa" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  const confirm = page.getByRole("dialog").getByRole("button", { name: "Delete data disk" });
  assert.equal(await confirm.isDisabled(), true);
  await page.getByRole("dialog").getByLabel('Type "carla.costa" to confirm').fill("carla.costa");
  await confirm.click();
  await page.getByText("Data disk of carla.costa deleted").waitFor();
  assert.equal(server.world.dataDisks.length, before - 1);
});

Deno.test("a file is uploaded in pieces with its checksum and appears among the files", async () => {
  await using it = await open("/storage?kind=iso");
  const { page, server } = it;
  await row(page, "debian-12.iso").waitFor();
  using held = holdAt(server, uploadPieceBytes);
  await choose(page);
  await page.getByText(/8 MiB of 16 MiB/).waitFor();
  const navigation = page.getByRole("navigation", { name: "Console" });
  await navigation.getByRole("link", { name: "Jobs" }).click();
  await page.getByRole("heading", { name: "Jobs" }).waitFor();
  await page.getByRole("link", { name: "50 % of 1 upload" }).click();
  await page.getByText(/8 MiB of 16 MiB/).waitFor();
  held.release();
  await page.getByText("checksum verified").waitFor();
  await page.getByPlaceholder("File or machine").fill("debian-13");
  await row(page, "debian-13.iso").waitFor();
  assert.equal(pieces(server), 3);
  assert.equal(server.world.uploads[0]?.sha256, sha256);
  assert.deepEqual(it.errors, []);
});

Deno.test("dropping a file on the page uploads it", async () => {
  await using it = await open("/storage?kind=iso");
  const { page, server } = it;
  await page.getByText("Drop ISO or disk images here for hv-1").waitFor();
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(1000)], "dropped.iso"));
    return transfer;
  });
  await page.locator(".kv-drop").dispatchEvent("drop", { dataTransfer: data });
  await row(page, "dropped.iso").waitFor();
  assert.equal(receivedBytes(server), 1000);
});

Deno.test("an upload goes on by itself after the network was lost", async () => {
  await using it = await open("/storage");
  const { page, server, context } = it;
  using held = holdAt(server, uploadPieceBytes);
  await choose(page);
  await page.getByText(/8 MiB of 16 MiB/).waitFor();
  await context.setOffline(true);
  held.release();
  await page.getByText("the connection is lost; it goes on by itself").waitFor();
  await context.setOffline(false);
  await page.getByText("checksum verified").waitFor();
  assert.equal(server.world.uploads[0]?.sha256, sha256);
});

Deno.test("leaving the page is warned of; the same file goes on where it stopped afterwards", async () => {
  await using it = await open("/storage");
  const { page, server } = it;
  using held = holdAt(server, uploadPieceBytes);
  await choose(page);
  await page.getByText(/8 MiB of 16 MiB/).waitFor();
  let warned = "";
  page.once("dialog", (dialog) => {
    warned = dialog.type();
    void dialog.accept();
  });
  await page.locator("body").click(); // browsers warn only where somebody has done something
  await page.reload();
  assert.equal(warned, "beforeunload");
  server.beforePiece = () => {};
  await page.getByText("debian-13.iso: 8 MiB of 16 MiB have arrived").waitFor();
  const before = server.requests.length;
  await choose(page);
  await page.getByText("checksum verified").waitFor();
  assert.equal(server.requests.slice(before).filter((line) => line.startsWith("PATCH")).length, 2);
  assert.equal(server.world.uploads.length, 1);
  assert.equal(server.world.uploads[0]?.sha256, sha256);
  held.release();
});

Deno.test("an upload is cancelled, and what has arrived goes with it", async () => {
  await using it = await open("/storage");
  const { page, server } = it;
  using _held = holdAt(server, uploadPieceBytes);
  await choose(page);
  await page.getByText(/8 MiB of 16 MiB/).waitFor();
  await page.getByRole("button", { name: "Cancel the upload of debian-13.iso" }).click();
  await page.getByText(/8 MiB of 16 MiB/).waitFor({ state: "detached" });
  await eventually("what has arrived is gone", () => server.world.uploads.length === 0);
});

Deno.test("what can't be uploaded is said in words: name, quota, full disk, checksum", async () => {
  await using it = await open("/storage");
  const { page, server } = it;
  await choose(page, "notes.txt");
  await page.getByText("notes.txt: the name must end in .iso").waitFor();
  assert.equal(requestsOf(server, "POST", "/api/uploads").length, 0);

  server.world.settings.uploadQuotaGiB = 0;
  await choose(page);
  await page.getByText("uploaded files may take 0 GiB here").waitFor();
  server.world.settings.uploadQuotaGiB = 200;

  server.beforePiece = (offset) => {
    if (offset > 0) {
      throw new AppError("hypervisor_failed", "No space is left in /var/lib/kvm-vdi/iso on hv-1.");
    }
  };
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("No space is left in /var/lib/kvm-vdi/iso on hv-1.").waitFor();
  await page.getByText("8 MiB of 16 MiB have arrived; it goes on from there.").waitFor();

  server.beforePiece = (offset) => {
    if (offset !== uploadPieceBytes) return;
    server.received.get(server.world.uploads[0]!.id)![0]![5]! ^= 1;
  };
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("What arrived is not what was sent").waitFor();
});

Deno.test("a new source is installed from an ISO that is uploaded on the way", async () => {
  await using it = await open("/machines/new?role=source");
  const { page, server } = it;
  await page.locator("#iso-help").getByRole("button", { name: "Upload…" }).click();
  await choose(page, "small.iso", isoBytes.subarray(0, 3 * MiB));
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.waitForFunction(() =>
    document.querySelector<HTMLSelectElement>("#iso")?.value === "/var/lib/kvm-vdi/iso/small.iso"
  );
  await page.locator("#name").fill("debian-source");
  await page.getByRole("button", { name: "Create source" }).click();
  await page.getByRole("heading", { name: "debian-source" }).waitFor();
  assert.equal(server.world.uploads[0]?.state, "done");
});

Deno.test("desktops are spread over hypervisors, with a preview and the progress of all", async () => {
  await using it = await open("/machines/new?role=vdi");
  const { page, server } = it;
  await page.locator("#sourceId").selectOption({ label: "kiosk" });
  await page.getByLabel("How many").fill("6");
  await page.getByLabel("Name pattern").fill("desk-{nn}");
  await page.getByRole("checkbox", { name: "hv-2" }).check();
  await page.getByText(/6 desktops, by free capacity: about \d+ on hv-1 and \d+ on hv-2/).waitFor();
  assert.equal(await page.getByRole("checkbox", { name: "hv-3" }).isDisabled(), true);
  await page.getByRole("button", { name: "Create 6 desktops" }).click();
  await page.waitForURL(/watch=/);
  await page.getByText(/Create machines: desk/).first().waitFor();
  await page.getByText(/Create machines: desk-\{nn\}: done/).waitFor();
  const made = server.world.machines.filter((one) => one.name.startsWith("desk-"));
  assert.deepEqual(new Set(made.map((one) => one.hypervisorId)), new Set([idOf(2, 1), idOf(2, 2)]));
  assert.deepEqual(it.errors, []);
});

Deno.test("deleting an initial names what goes with it and what stands in the way", async () => {
  await using it = await open("/machines?q=kiosk&role=initial");
  const { page, server } = it;
  const initial = server.world.machines.find((one) => one.name === "kiosk")!;
  const clones = server.world.machines.filter((one) => one.sourceId === initial.id);
  await page.getByRole("link", { name: "kiosk", exact: true }).click();
  const ask = async () => {
    await page.getByRole("button", { name: "Actions for kiosk" }).click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
  };
  await ask();
  const dialog = page.getByRole("dialog");
  const user = clones.find((one) => one.lease)!;
  await dialog.getByText(`${user.lease!.username} is working on ${user.name}`).waitFor();
  await dialog.getByText("with it 80 machines made from it").waitFor();
  assert.equal(await dialog.getByRole("button", { name: "Delete 81 machines" }).isDisabled(), true);
  await page.keyboard.press("Escape");
  for (const clone of clones) clone.lease = null;
  await ask();
  await dialog.getByText("81 files with 162 GiB").waitFor();
  await dialog.getByLabel('Type "kiosk" to confirm').fill("kiosk");
  await dialog.getByRole("button", { name: "Delete 81 machines" }).click();
  await page.waitForURL(/\/machines$/);
  await page.getByText("kiosk and 80 machines deleted").waitFor();
  assert.equal(server.world.machines.some((one) => one.name.startsWith("kiosk-0")), false);
  assert.deepEqual(it.errors, []);
});

Deno.test("a machine's disk is resized and moved, and it gets a data disk", async () => {
  await using it = await open("/machines?q=kiosk-002");
  const { page, server } = it;
  const machine = server.world.machines.find((one) => one.name === "kiosk-002")!;
  await page.getByRole("link", { name: "kiosk-002" }).click();
  const pick = async (item: string) => {
    await page.getByRole("button", { name: "Actions for kiosk-002" }).click();
    await page.getByRole("menuitem", { name: item }).click();
  };
  await pick("Add data disk");
  await page.getByRole("dialog").getByLabel("Size (GiB)").fill("4");
  await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await page.getByText("Personal data", { exact: true }).waitFor();
  assert.equal(machine.dataDisk?.bytes, 4 * 1024 * MiB);
  await pick("Move to another hypervisor");
  await page.getByRole("dialog").getByLabel("Hypervisor").selectOption(idOf(2, 1));
  await page.getByRole("dialog").getByRole("button", { name: "Move" }).click();
  await page.getByText("kiosk-002 is on hv-1").waitFor();
  assert.equal(machine.hypervisorId, idOf(2, 1));
  await pick("Make stand-alone");
  await page.getByRole("dialog").getByText("stays in its desktop pools").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Make stand-alone" }).click();
  await page.getByText("kiosk-002 has a disk of its own").waitFor();
  await pick("Make disk larger");
  await page.getByRole("dialog").getByLabel("New size (GiB)").fill("30");
  await page.getByText("must be more than 40 GiB").waitFor();
  await page.getByRole("dialog").getByLabel("New size (GiB)").fill("64");
  await page.getByRole("dialog").getByRole("button", { name: "Resize" }).click();
  await page.getByText("The disk of kiosk-002 has 64 GiB").waitFor();
  assert.deepEqual(it.errors, []);
});

Deno.test("a machine says for whom it is kept, and that it waits for its start", async () => {
  await using it = await open("/machines?q=kiosk-002");
  const { page, server } = it;
  const machine = server.world.machines.find((one) => one.name === "kiosk-002")!;
  await row(page, "kiosk-002").waitFor();
  server.publish({
    type: "machine",
    machine: {
      ...machine,
      queuedStart: 4,
      keptFor: { userId: idOf(4, 3), username: "dmitri.dvorak", until: Date.now() + 3_600_000 },
    },
  });
  await row(page, "kiosk-002").getByText("Place 4 in the queue of starts").waitFor();
  await row(page, "kiosk-002").getByText("Kept for dmitri.dvorak").waitFor();
});

for (const [width, dark] of [[1280, false], [390, true]] as const) {
  Deno.test(`uploads and the dialogs of machines are accessible at ${width} px${dark ? ", dark" : ""}`, async () => {
    await using it = await open("/storage?kind=iso", { width, dark });
    const { page, server } = it;
    using held = holdAt(server, uploadPieceBytes);
    await choose(page);
    await page.getByText(/8 MiB of 16 MiB/).waitFor();
    await assertAccessible(page, "a running upload");
    held.release();
    await page.getByText("checksum verified").waitFor();
    await page.goto(`${server.url}/machines/${idOf(1, 5)}`);
    for (
      const item of [
        "Move to another hypervisor",
        "Copy machine",
        "Make stand-alone",
        "Make data disk larger",
        "Delete",
      ]
    ) {
      if (item.startsWith("Make data")) {
        const machine = server.world.machines.find((one) => one.id === idOf(1, 5))!;
        const dataDisk = { id: idOf(10, 99), scope: "machine" as const, bytes: 1024 * MiB };
        server.publish({ type: "machine", machine: { ...machine, dataDisk } });
      }
      await page.getByRole("button", { name: "Actions for win11-office-003" }).click();
      await page.getByRole("menuitem", { name: item }).click();
      await page.getByRole("dialog").waitFor();
      await assertAccessible(page, item);
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
    assert.deepEqual(it.errors, []);
  });
}
