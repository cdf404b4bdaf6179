/** The admin console in Chromium against an in-memory API with 2,000 machines: what needs no libvirt to be true. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { AppError } from "../../contracts/errors.ts";
import { assertAccessible } from "../support/axe.ts";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { openUi, requestsOf } from "../support/ui_page.ts";
import type { UiServer } from "../support/ui_server.ts";
import { emptyWorld } from "../support/ui_world.ts";
import { idOf, overviewOf } from "../support/ui_world_parts.ts";

let browser: TestBrowser;
Deno.test.beforeAll(async () => void (browser = await startBrowser()));
Deno.test.afterAll(async () => await browser[Symbol.asyncDispose]());

const open = (path: string, options?: Parameters<typeof openUi>[2]) => openUi(browser, path, options);
const posts = (server: UiServer, path: string) => requestsOf(server, "POST", path);
const row = (page: Page, name: string) => page.getByRole("row").filter({ hasText: name });

Deno.test("the machine table holds its search, filter, sort and page in the address", async () => {
  await using it = await open("/machines");
  const { page, server } = it;
  await page.getByPlaceholder("Name, user, MAC or address").fill("debian");
  await page.waitForURL(/q=debian/);
  await page.locator(".kv-toolbar").getByRole("button", { name: "State" }).click();
  await page.getByRole("option", { name: "Running" }).click();
  await page.getByRole("button", { name: "Name", exact: true }).click();
  await page.waitForURL(/order=desc/);
  await page.reload();
  await row(page, "debian-lab-600").first().waitFor({ state: "detached" });
  await row(page, "debian-lab-598").first().waitFor();
  assert.match(server.requests.at(-1) ?? "", /q=debian|hypervisors|desktop-pools|events/);
  assert.equal(await page.getByPlaceholder("Name, user, MAC or address").inputValue(), "debian");
  await page.getByRole("button", { name: "Clear filters" }).click();
  await page.waitForURL((url) => !url.search.includes("q="));
  assert.deepEqual(it.errors, []);
});

Deno.test("a changed machine changes in the table without a reload", async () => {
  await using it = await open("/machines?q=build-agent");
  await row(it.page, "build-agent").getByText("Running").waitFor();
  const machine = it.server.world.machines.find((one) => one.name === "build-agent")!;
  it.server.publish({ type: "machine", machine: { ...machine, state: "crashed", pendingAction: null } });
  await row(it.page, "build-agent").getByText("Crashed").waitFor();
});

Deno.test("powering off asks first, shows the action as pending and then its result; a double click does it once", async () => {
  await using it = await open("/machines?q=print-server");
  const { page, server } = it;
  await page.getByRole("link", { name: "print-server" }).click();
  await page.getByRole("button", { name: "Reboot" }).dblclick();
  await page.getByText("Rebooting").first().waitFor();
  await page.getByText("Rebooting").first().waitFor({ state: "detached" });
  assert.equal(posts(server, "/api/machines/").length, 1);
  await page.getByRole("button", { name: "Actions for print-server" }).click();
  await page.getByRole("menuitem", { name: "Power off" }).click();
  await page.getByRole("dialog").getByText("pulling the plug").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Power off" }).click();
  await page.getByRole("button", { name: "Start", exact: true }).waitFor();
  assert.deepEqual(it.errors, []);
});

Deno.test("all machines that match can be selected; deleting many must be typed", async () => {
  await using it = await open("/machines?q=kiosk-0&role=vdi");
  const { page, server } = it;
  await page.getByRole("checkbox", { name: /Select all rows/ }).check();
  await page.getByRole("button", { name: /Select all 80 that match/ }).click();
  await page.getByText("80 machines selected").waitFor();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog");
  const confirm = dialog.getByRole("button", { name: "Delete 80 machines" });
  assert.equal(await confirm.isDisabled(), true);
  await dialog.getByLabel('Type "delete 80" to confirm').fill("delete 80");
  await confirm.click();
  await page.getByText("Delete: 80 machines done").waitFor();
  assert.equal(
    server.world.machines.filter((one) => one.role === "vdi" && one.name.startsWith("kiosk")).length,
    0,
  );
});

Deno.test("an initial's desktops are populated from the grouped view, after saying what is lost", async () => {
  await using it = await open("/machines?view=grouped");
  const { page, server } = it;
  const group = page.locator(".pf-v6-c-card").filter({ hasText: "kiosk-source" });
  await group.getByRole("button", { name: "Populate" }).click();
  await page.getByRole("dialog").getByText("everything written on them").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Populate" }).click();
  await group.getByText(/Populate: kiosk/).waitFor();
  await page.getByText("Populated kiosk").waitFor();
  assert.equal(posts(server, "/api/machines/").length, 1);
});

Deno.test("desktops are created from a name pattern with a preview; a wrong field says so at the field", async () => {
  await using it = await open("/machines/new?role=vdi");
  const { page, server } = it;
  await page.locator("#sourceId").selectOption({ label: "kiosk" });
  await page.getByLabel("How many").fill("3");
  await page.getByLabel("Name pattern").fill("desk");
  await page.getByRole("button", { name: "Create 3 desktops" }).click();
  await page.locator("#name-help").getByText("put {n} where the number goes").waitFor();
  assert.equal(posts(server, "/api/machines").length, 0);
  await page.getByLabel("Name pattern").fill("desk-{nn}");
  await page.getByText("desk-01, desk-02, desk-03").waitFor();
  await page.getByRole("button", { name: "Create 3 desktops" }).click();
  await page.waitForURL(/\/machines\?sourceId=/);
  assert.deepEqual(
    server.world.machines.filter((one) => one.name.startsWith("desk-")).map((one) => one.name),
    ["desk-01", "desk-02", "desk-03"],
  );
  assert.deepEqual(it.errors, []);
});

Deno.test("an empty system shows the first-desktop guide, which leads from step to step", async () => {
  await using it = await open("/", { world: emptyWorld() });
  const { page, server } = it;
  await page.getByRole("link", { name: "Create a source" }).click();
  await page.waitForURL(/\/machines\/new\?role=source/);
  await page.getByLabel("Name", { exact: false }).and(page.locator("#name")).fill("debian-source");
  await page.getByRole("button", { name: "Create source" }).click();
  await page.getByRole("heading", { name: "debian-source" }).waitFor();
  server.publish({ type: "overview", overview: overviewOf(server.world) });
  await page.getByRole("link", { name: "Overview" }).click();
  await page.locator("#step-source").getByText("Another one").waitFor();
  await page.getByRole("link", { name: "Create an initial" }).click();
  await page.locator("#sourceId").locator("option:checked").getByText("debian-source").waitFor({
    state: "attached",
  });
  assert.deepEqual(it.errors, []);
});

Deno.test("a desktop pool gets members and users, and the broker explains itself", async () => {
  await using it = await open(`/desktop-pools/${idOf(6, 4)}`);
  const { page, server } = it;
  await page.getByRole("button", { name: "Choose machines" }).click();
  await page.getByRole("button", { name: "Select none" }).click();
  await page.getByPlaceholder("Search").last().fill("kiosk-01");
  await page.getByRole("checkbox", { name: "kiosk-012" }).check();
  await page.getByRole("button", { name: "Save 1 machine" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(server.world.pools[3]!.machineIds.length, 1);
  await page.getByLabel("User name").fill("carla.costa");
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("carla.costa would not get a desktop").waitFor();
  assert.deepEqual(it.errors, []);
});

Deno.test("a lost connection is said, and the page is right again after it", async () => {
  await using it = await open("/machines?q=dns-1");
  const { page, server } = it;
  await row(page, "dns-1").getByText("Running").waitFor();
  server.failures.set("listMachines", new AppError("unavailable", "The dashboard is starting."));
  server.dropStreams();
  await page.getByText("Connection to the dashboard lost").waitFor();
  server.failures.clear();
  server.world.machines.find((one) => one.name === "dns-1")!.state = "crashed";
  await page.getByText("Connection to the dashboard lost").waitFor({ state: "detached" });
  await row(page, "dns-1").getByText("Crashed").waitFor();
});

Deno.test("a list that can't be loaded says why and offers a retry", async () => {
  await using it = await open("/overview");
  const { page, server } = it;
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  server.failures.set("listUsers", new AppError("unavailable", "The database is being backed up."));
  await page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: "Users" }).click();
  await page.getByText("The database is being backed up.").waitFor();
  server.failures.clear();
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("link", { name: "bela.brandt" }).first().waitFor();
});

Deno.test("a session that has ended shows the sign-in page, and signing in comes back to the same page", async () => {
  await using it = await open("/machines");
  const { page, server } = it;
  await page.getByRole("link", { name: "build-agent" }).waitFor();
  server.userId = null;
  await page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: "Jobs" }).click();
  await page.getByLabel("User name").fill("admin");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Jobs" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/jobs");
});

Deno.test("a user's own page of the console is not shown to users", async () => {
  await using it = await open("/overview");
  it.server.userId = idOf(4, 3);
  await it.page.reload();
  await it.page.getByRole("navigation", { name: "Console" }).waitFor({ state: "detached" });
  assert.equal(it.server.requests.some((line) => line.includes("/api/machines?")), false);
});

Deno.test("the search over everything is reached by a key and leads to what it found", async () => {
  await using it = await open("/overview");
  const { page } = it;
  await page.getByRole("link", { name: "Office desktop" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("print-ser");
  await page.getByRole("menuitem", { name: /print-server/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "print-server" }).waitFor();
});

const pages = [
  "/overview",
  "/machines",
  "/machines?view=grouped",
  "/machines/new?role=vdi",
  `/machines/${idOf(1, 3)}`,
  "/images",
  `/images/${idOf(1, 2)}`,
  "/storage",
  "/storage?view=images",
  "/storage?view=data-disks",
  "/desktop-pools",
  `/desktop-pools/${idOf(6, 1)}`,
  "/sessions",
  "/hypervisors",
  `/hypervisors/${idOf(2, 3)}`,
  "/users",
  `/users/${idOf(4, 3)}`,
  "/jobs",
  "/audit",
  "/settings",
];

for (const [width, dark] of [[1440, false], [390, true]] as const) {
  Deno.test(`every admin page is accessible at ${width} px${dark ? ", dark" : ""}, without errors or sideways scrolling`, async () => {
    await using it = await open("/overview", { width, dark });
    for (const path of pages) {
      await it.page.goto(it.server.url + path);
      await it.page.getByRole("heading", { level: 1 }).waitFor();
      await it.page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
      await assertAccessible(it.page, path);
    }
    assert.deepEqual(it.errors, []);
  });
}
