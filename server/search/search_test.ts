import assert from "node:assert/strict";
import { startTestDashboard } from "../../tests/support/dashboard.ts";
import { hypervisorRow } from "../../tests/support/rows.ts";

Deno.test("search finds users, desktop pools and machines by name and MAC, beginnings first", async () => {
  await using test = await startTestDashboard();
  const { app, admin } = test;
  const hypervisorId = crypto.randomUUID();
  const at = { created_at: 0, updated_at: 0 };
  await app.db.insertInto("hypervisors").values(hypervisorRow("rack-lab", { id: hypervisorId })).execute();
  const machine = (name: string, mac: string) => ({
    id: crypto.randomUUID(),
    name,
    name_key: name.toLowerCase(),
    role: "simple" as const,
    os_type: "linux" as const,
    hypervisor_id: hypervisorId,
    source_id: null,
    state: "shut-off" as const,
    state_reason: null,
    maintenance: 0 as const,
    locked: 0 as const,
    virtual_snapshot: 0 as const,
    vcpus: 1,
    memory_mib: 512,
    mac,
    network: "default",
    video: "qxl" as const,
    iso: null,
    disk_path: null,
    disk_bytes: null,
    base_path: null,
    populated_at: null,
    notes: "",
    ...at,
  });
  await app.db.insertInto("machines")
    .values([machine("lab-1", "52:54:00:00:00:0a"), machine("other", "52:54:00:00:00:0b")]).execute();
  await admin.call("createDesktopPool", { body: { name: "Physics lab" } });
  await test.as("labuser");
  const titles = async (q: string) =>
    (await admin.call("search", { query: { q } })).items.map(({ title }) => title);
  assert.deepEqual(await titles("lab"), ["lab-1", "labuser", "Physics lab", "rack-lab"]);
  assert.deepEqual(await titles("00:0B"), ["other"]);
  assert.deepEqual(await titles("l%b"), []);
});
