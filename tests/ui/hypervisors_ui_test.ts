/** Hypervisors in Chromium against an in-memory API: added, drained, updated, set up, and looked at. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { AppError } from "../../contracts/errors.ts";
import { assertAccessible } from "../support/axe.ts";
import { startBrowser, type TestBrowser } from "../support/browser.ts";
import { hostPassword } from "../support/ui_hypervisors_api.ts";
import { openUi, requestsOf } from "../support/ui_page.ts";
import { largeWorld } from "../support/ui_world.ts";
import { hostKeyOf, idOf } from "../support/ui_world_parts.ts";

let browser: TestBrowser;
Deno.test.beforeAll(async () => void (browser = await startBrowser()));
Deno.test.afterAll(async () => await browser[Symbol.asyncDispose]());

const open = (path: string, options?: Parameters<typeof openUi>[2]) => openUi(browser, path, options);
const row = (page: Page, name: string) => page.getByRole("row").filter({ hasText: name });
const dialog = (page: Page) => page.getByRole("dialog");
const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
const hv2 = `/hypervisors/${idOf(2, 2)}`;

async function menu(page: Page, host: string, item: string): Promise<void> {
  await button(page, `Actions for ${host}`).click();
  await page.getByRole("menuitem", { name: item }).click();
}

/** Up to the step that asks how the agent gets there. */
async function confirmKey(page: Page): Promise<void> {
  await page.getByLabel("Address").fill("hv7.lab.example");
  await button(page, "Read host key").click();
  await page.getByText(hostKeyOf(7).fingerprint).waitFor();
  await page.getByText("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").waitFor();
  assert.ok(await button(page, "Next").isDisabled(), "nobody goes on without having compared the key");
  await page.getByLabel("The host shows the same fingerprint").check();
  await button(page, "Next").click();
}

Deno.test("a hypervisor is enrolled with a password; a wrong one is corrected without beginning anew", async () => {
  await using it = await open("/hypervisors");
  const { page, server } = it;
  await page.getByRole("link", { name: "Add hypervisor" }).click();
  await confirmKey(page);
  await page.getByLabel("Account on the host").fill("ada");
  await page.locator("#enrol-password").fill("wrong");
  await button(page, "Add and install").click();
  await page.getByText("The agent of hv7 was not installed").waitFor();
  await page.getByText("refused the password").waitFor();
  assert.equal(requestsOf(server, "POST", "/api/hypervisors/host-key").length, 1);
  await page.locator("#enrol-password").fill(hostPassword);
  await button(page, "Install again").click();
  await page.getByRole("list", { name: "Steps of the installation" }).getByText("Started the agent")
    .waitFor();
  await page.getByText("hv7 is ready").waitFor();
  const added = server.world.hypervisors.filter(({ name }) => name === "hv7");
  assert.equal(added.length, 1, "the second attempt does not add it again");
  assert.deepEqual(added[0]?.ssh?.hostKey, hostKeyOf(7));
  await page.getByRole("link", { name: "Open hv7" }).click();
  await page.getByRole("heading", { level: 1, name: "hv7" }).waitFor();
  assert.deepEqual(it.errors, []);
});

Deno.test("another address asks for the host key again; what can't be read says why and is tried again", async () => {
  await using it = await open("/hypervisors/new");
  const { page, server } = it;
  await confirmKey(page);
  await button(page, "Back").click();
  await button(page, "Back").click();
  await page.getByLabel("Address").fill("elsewhere");
  const refusal = "elsewhere:22 refused the connection. Is sshd running there?";
  server.failures.set("readHostKey", new AppError("unavailable", refusal));
  await button(page, "Read host key").click();
  await page.getByText(refusal).waitFor();
  assert.ok(await button(page, "Next").isDisabled());
  server.failures.clear();
  await button(page, "Try again").click();
  await page.getByText(hostKeyOf(7).fingerprint).waitFor();
  assert.equal(await page.getByLabel("The host shows the same fingerprint").isChecked(), false);
});

Deno.test("a private key is read from its file; the sudo password is asked of everybody but root", async () => {
  await using it = await open("/hypervisors/new");
  const { page } = it;
  await confirmKey(page);
  assert.equal(await page.getByLabel("Password for sudo").count(), 0);
  await page.getByLabel("With a private key").check();
  await page.getByLabel("File of the private key").setInputFiles({
    name: "id_ed25519",
    mimeType: "text/plain",
    buffer: Buffer.from("-----BEGIN OPENSSH PRIVATE KEY-----\n"),
  });
  await page.waitForFunction(() =>
    document.querySelector<HTMLTextAreaElement>("#enrol-key")?.value.startsWith("-----BEGIN OPENSSH")
  );
  await page.getByLabel("Account on the host").fill("ada");
  await page.getByLabel("Password for sudo").waitFor();
  assert.ok(await button(page, "Add and install").isEnabled());
});

Deno.test("by hand: the dashboard's key and the command are shown, an RSA key is made on request, a taken name is said", async () => {
  await using it = await open("/hypervisors/new");
  const { page, server } = it;
  await page.getByLabel("Name").fill("hv-1");
  await confirmKey(page);
  await page.getByLabel("It is installed already").check();
  await page.getByText(/^ssh-ed25519 AAAA\S+ kvm-vdi@dashboard$/).waitFor();
  await page.getByText(/--authorized-key 'ssh-ed25519 AAAA/).waitFor();
  await button(page, "Make an RSA key, too").click();
  await page.getByText(/^ssh-rsa AAAA/).waitFor();
  await button(page, "Add hypervisor").click();
  await page.locator("#hypervisor-name-help").getByText("is taken").waitFor();
  await page.getByLabel("Name").fill("north");
  await button(page, "Read host key").click();
  await button(page, "Next").click();
  await button(page, "Add hypervisor").click();
  await page.getByText("north is ready").waitFor();
  assert.equal(server.world.hypervisors.find(({ name }) => name === "north")?.ssh?.username, "kvm-vdi");
});

Deno.test("an agent that does not answer keeps the hypervisor from being added by hand, and says why where one is", async () => {
  await using it = await open("/hypervisors/new");
  const { page, server } = it;
  await confirmKey(page);
  await page.getByLabel("It is installed already").check();
  const message =
    "no agent answers on /run/kvm-vdi/agent.sock (connect failed). Is kvm-vdi agent running there?";
  const details = [{ path: "socketPath", message }];
  server.failures.set(
    "createHypervisor",
    new AppError("invalid", `The hypervisor was not added: ${message}`, { details }),
  );
  await button(page, "Add hypervisor").click();
  await page.getByText(message).waitFor();
  server.failures.set(
    "createHypervisor",
    new AppError("invalid", "The account was refused.", {
      details: [{ path: "ssh.username", message: "refused" }],
    }),
  );
  await button(page, "Add hypervisor").click();
  await page.locator("#ssh-username-help").getByText("refused").waitFor();
  server.failures.clear();
  await button(page, "Add hypervisor").click();
  await page.getByText("hv7 is ready").waitFor();
});

Deno.test("this host's own agent is added by its socket, without SSH", async () => {
  await using it = await open("/hypervisors/new");
  const { page, server } = it;
  await page.getByLabel("This host").check();
  await page.getByLabel("Name").fill("here");
  await button(page, "Add hypervisor").click();
  await page.getByText("here is ready").waitFor();
  assert.equal(server.world.hypervisors.find(({ name }) => name === "here")?.ssh, null);
});

Deno.test("draining names the users it concerns, warns them if wanted, and can be stopped", async () => {
  await using it = await open("/hypervisors");
  const { page, server } = it;
  const host = server.world.hypervisors[1]!;
  const users = server.world.leases.filter((lease) => lease.hypervisorName === host.name);
  await menu(page, "hv-2", "Drain…");
  await dialog(page).getByText(`${users.length} sessions on it now`).waitFor();
  await dialog(page).getByText(users[0]!.username, { exact: true }).waitFor();
  await dialog(page).getByLabel("Warn the users, then end their sessions").check();
  await dialog(page).getByLabel("Countdown (minutes)").fill("10");
  await dialog(page).getByRole("button", { name: "Drain" }).click();
  await row(page, "hv-2").first().getByText(`Draining: ${users.length} sessions left`).waitFor();
  await page.getByText(/they are ended at (\d+ \w+, )?\d\d:\d\d/).waitFor();
  assert.ok(host.drain!.endsAt! - host.drain!.since > 9 * 60_000);
  await menu(page, "hv-2", "Stop draining");
  await row(page, "hv-2").first().getByText("Maintenance").waitFor();
  assert.deepEqual([host.drain, host.maintenance], [null, true]);
});

Deno.test("outdated agents are updated at once, after naming them; then nothing is left to update", async () => {
  await using it = await open("/hypervisors");
  const { page } = it;
  await row(page, "hv-2").getByText("Agent out of date").waitFor();
  await button(page, "Update all agents (1)").click();
  await dialog(page).getByText("Machines and users' sessions go on").waitFor();
  await dialog(page).getByRole("listitem").getByText("hv-2").waitFor();
  await dialog(page).getByRole("button", { name: "Update" }).click();
  await page.getByText("Agent of hv-2 updated").waitFor();
  await row(page, "hv-2").getByText("Agent out of date").waitFor({ state: "detached" });
  assert.equal(await page.getByRole("button", { name: /Update all agents/ }).count(), 0);
});

Deno.test("an offline hypervisor says why and since when, on the list, its page and the overview", async () => {
  await using it = await open("/hypervisors");
  const { page, server } = it;
  const { stateReason } = server.world.hypervisors[2]!;
  await page.getByText(stateReason!).waitFor();
  await page.getByText("Since 38 minutes ago").waitFor();
  await page.getByRole("link", { name: "hv-3" }).click();
  await page.getByText("hv-3 is offline").waitFor();
  await page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: "Overview" }).click();
  await page.getByRole("link", { name: "See what to do" }).click();
  await page.waitForURL(new RegExp(idOf(2, 3)));
});

Deno.test("a changed host key shows both fingerprints, and only then can be accepted", async () => {
  await using it = await open(`${hv2}?tab=settings`);
  const { page, server } = it;
  await page.getByText(hostKeyOf(2).fingerprint).waitFor();
  await button(page, "Read host key again").click();
  const alert = page.locator(".pf-v6-c-alert", { hasText: "The host has another key now" });
  await alert.getByText(hostKeyOf(2).fingerprint).waitFor();
  await alert.getByText(hostKeyOf(7).fingerprint).waitFor();
  await button(page, "Accept the new key").click();
  await page.getByText("New host key of hv-2 accepted").waitFor();
  assert.deepEqual(server.world.hypervisors[1]!.ssh?.hostKey, hostKeyOf(7));
  await button(page, "Read host key again").click();
  await page.getByText("The host still has the same key").waitFor();
});

Deno.test("capacity is explained in the host's own figures and saved; an empty limit is none", async () => {
  await using it = await open(`${hv2}?tab=capacity`);
  const { page, server } = it;
  await page.getByLabel("Memory overcommit").fill("1.5");
  await page.getByText("Running machines may be given 768 GiB").waitFor();
  await page.getByLabel("Desktops that run at once").fill("80");
  await button(page, "Save").click();
  await page.getByText("63 of 80").waitFor();
  assert.deepEqual(
    [
      server.world.hypervisors[1]!.capacity.memoryOvercommit,
      server.world.hypervisors[1]!.capacity.maxRunning,
    ],
    [1.5, 80],
  );
  await page.getByLabel("Desktops that run at once").fill("");
  await button(page, "Save").click();
  await page.getByText("no limit is set").waitFor();
  assert.equal(server.world.hypervisors[1]!.capacity.maxRunning, null);
});

Deno.test("directories and display address are set; a refusal is shown at its field", async () => {
  await using it = await open(`${hv2}?tab=settings`);
  const { page, server } = it;
  const forms = page.locator(".pf-v6-c-card");
  const directories = forms.filter({ hasText: "Directories and guests" });
  await directories.getByLabel("Images", { exact: true }).fill("/nowhere");
  await directories.getByRole("button", { name: "Save" }).click();
  await page.locator("#settings-imageDir-help").getByText("there is no such directory").waitFor();
  await directories.getByLabel("Images", { exact: true }).fill("/var/lib/fast");
  await directories.getByRole("button", { name: "Save" }).click();
  const general = forms.filter({ hasText: "Displays go through the gateway" });
  await general.getByLabel("Native viewers connect to the host directly").check();
  assert.equal(await general.getByLabel("Display address").inputValue(), "10.0.0.2");
  await general.getByRole("button", { name: "Save" }).click();
  await page.getByRole("tab", { name: "Overview" }).click();
  await page.getByText("native viewers connect to 10.0.0.2").waitFor();
  const host = server.world.hypervisors[1]!;
  assert.deepEqual([host.facts!.settings.imageDir, host.displayAddress], ["/var/lib/fast", "10.0.0.2"]);
});

Deno.test("the history is drawn, told in words and as a table; its range is in the address", async () => {
  await using it = await open(hv2);
  const { page, server } = it;
  const cpu = page.getByRole("img", {
    name: /^CPU over the last 24 hours: now \d+ %, between \d+ % and \d+ %/,
  });
  await cpu.locator("canvas").waitFor();
  const painted = await cpu.locator("canvas").evaluate((canvas: HTMLCanvasElement) =>
    canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0)
  );
  assert.ok(painted, "the chart has a line");
  await button(page, "7 d").click();
  await page.waitForURL(/hours=168/);
  await page.getByRole("img", { name: /^Memory over the last 7 days/ }).waitFor();
  await button(page, "As a table").click();
  assert.equal(await page.getByRole("grid", { name: "History" }).getByRole("row").count(), 26);
  assert.ok(server.requests.some((line) => line.endsWith("/load?hours=168")));
  assert.deepEqual(it.errors, []);
});

Deno.test("existing domains are imported in the role that was chosen for each", async () => {
  await using it = await open(`/hypervisors/${idOf(2, 1)}?tab=import`);
  const { page, server } = it;
  await page.getByLabel("Role of gold-2024").selectOption("source");
  await page.getByRole("checkbox", { name: /Select all rows/ }).check();
  await button(page, "Import 2 machines").click();
  await page.getByText("Nothing to import").waitFor();
  const roles = ["old-server", "gold-2024"].map((name) =>
    server.world.machines.find((machine) => machine.name === name)?.role
  );
  assert.deepEqual(roles, ["simple", "source"]);
});

Deno.test("an operator sees hypervisors but is offered nothing that only admins may do", async () => {
  const world = largeWorld();
  world.users[0] = { ...world.users[0]!, role: "operator" };
  await using it = await open("/hypervisors", { world });
  const { page } = it;
  await row(page, "hv-1").waitFor();
  assert.equal(await page.getByRole("link", { name: "Add hypervisor" }).count(), 0);
  assert.equal(await page.getByRole("button", { name: /Actions for hv-/ }).count(), 0);
  await page.goto(`${it.server.url}${hv2}?tab=settings`);
  await page.getByText("Only administrators can change this.").first().waitFor();
  await page.getByText(hostKeyOf(2).fingerprint).waitFor();
  assert.equal(await button(page, "Read host key again").count(), 0);
});

const states: [what: string, path: string, act?: (page: Page) => Promise<void>][] = [
  ["the list", "/hypervisors"],
  ["a hypervisor", hv2],
  ["its machines", `${hv2}?tab=machines`],
  ["its capacity", `${hv2}?tab=capacity`],
  ["its settings", `${hv2}?tab=settings`],
  ["a changed key", `${hv2}?tab=settings`, async (page) => {
    await button(page, "Read host key again").click();
    await button(page, "Accept the new key").waitFor();
  }],
  ["import", `${hv2}?tab=import`],
  ["its jobs", `${hv2}?tab=jobs`],
  ["the drain dialog", hv2, async (page) => {
    await button(page, "Drain…").click();
    await page.getByText("sessions on it now").waitFor();
  }],
  ["adding: the host", "/hypervisors/new"],
  ["adding: installation", "/hypervisors/new", confirmKey],
  ["adding: by hand", "/hypervisors/new", async (page) => {
    await confirmKey(page);
    await page.getByLabel("It is installed already").check();
    await page.getByText("--authorized-key").waitFor();
  }],
];

for (const [width, dark] of [[1440, false], [390, true]] as const) {
  Deno.test(`the pages and dialogs of hypervisors are accessible at ${width} px${dark ? ", dark" : ""}`, async () => {
    await using it = await open("/overview", { width, dark });
    for (const [what, path, act] of states) {
      await it.page.goto(it.server.url + path);
      await it.page.getByRole("heading", { level: 1 }).waitFor();
      await act?.(it.page);
      await it.page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
      await assertAccessible(it.page, what);
    }
    assert.deepEqual(it.errors, []);
  });
}
