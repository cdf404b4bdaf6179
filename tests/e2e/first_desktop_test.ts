/** The first-desktop guide from end to end in Chromium: the real dashboard over an agent that only pretends. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { startBrowser } from "../support/browser.ts";
import { startTestDashboard } from "../support/dashboard.ts";
import { FakeAgent } from "../support/fake_agent.ts";

const password = "correct horse battery staple";

async function signIn(page: Page, username: string): Promise<void> {
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Goes to the overview and follows the guide's next step. */
async function nextStep(page: Page, name: string): Promise<void> {
  await page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: "Overview" }).click();
  await page.locator(".kv-guide-step").getByRole("link", { name }).and(page.locator(".pf-m-primary")).click();
}

Deno.test("the guide leads an admin from an empty system to a user's desktop pool", async () => {
  await using agent = new FakeAgent();
  await using dashboard = await startTestDashboard({ agents: { local: agent } });
  const { items: [admin] } = await dashboard.admin.call("listUsers", { query: { q: "admin" } });
  await dashboard.admin.call("updateUser", { id: admin!.id, body: { password } });
  await using browser = await startBrowser();
  await using opened = await browser.open({ url: dashboard.url });
  const { page } = opened;
  page.setDefaultTimeout(20_000);
  await signIn(page, "admin");

  await nextStep(page, "Create a source");
  await page.locator("#name").fill("debian-source");
  await page.getByLabel("Disk size (GiB)").fill("1");
  await page.getByRole("button", { name: "Create source" }).click();
  await page.getByText("debian-source created").waitFor();

  await nextStep(page, "Create an initial");
  await page.locator("#name").fill("debian");
  await page.getByRole("button", { name: "Create initial" }).click();
  await page.getByText("debian created").waitFor();

  await nextStep(page, "Create desktops");
  await page.getByLabel("How many").fill("3");
  await page.getByLabel("Name pattern").fill("desk-{n}");
  await page.getByRole("button", { name: "Create 3 desktops" }).click();
  await page.getByText("3 machines created").waitFor();
  await page.getByRole("link", { name: "desk-3" }).waitFor();

  await nextStep(page, "Create a desktop pool");
  await page.getByRole("dialog").getByLabel("Name").fill("Office");
  await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "Office", level: 1 }).waitFor();
  await page.getByRole("button", { name: "Choose machines" }).click();
  await page.getByRole("button", { name: "Select all 3" }).click();
  await page.getByRole("button", { name: "Save 3 machines" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await nextStep(page, "Create a user");
  await page.getByRole("dialog").getByLabel("User name").fill("ann");
  await page.getByRole("dialog").getByLabel("Password").fill(password);
  await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "ann", level: 1 }).waitFor();
  await page.getByRole("button", { name: "Choose desktop pools" }).click();
  await page.getByRole("checkbox", { name: "Office" }).check();
  await page.getByRole("button", { name: "Save 1 desktop pool" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: "Overview" }).click();
  await page.getByRole("heading", { name: "First desktop" }).waitFor({ state: "detached" });
  assert.deepEqual(opened.errors, []);

  await using user = await browser.open({ url: dashboard.url });
  await signIn(user.page, "ann");
  await user.page.getByText("Office").first().waitFor();
});
