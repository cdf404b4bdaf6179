/** Databases of released versions, brought up to date with what is in them. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { migrations } from "../../migrations/index.ts";
import { migrate } from "./migrate.ts";

Deno.test("a database of the first release keeps its hypervisors, and its images become versions", async () => {
  using sqlite = new DatabaseSync(":memory:");
  await migrate(sqlite, migrations.slice(0, 1), () => null);
  const machine = (
    id: string,
    role: string,
    diskPath: string | null,
    basePath: string | null,
    source: string | null,
  ) =>
    sqlite.prepare(
      `INSERT INTO machines (id, name, name_key, role, os_type, hypervisor_id, source_id, vcpus, memory_mib, network,
         video, disk_path, disk_bytes, base_path, populated_at, created_at, updated_at)
       VALUES (?, ?, ?, ?, 'linux', 'h', ?, 1, 192, 'none', 'qxl', ?, 4096, ?, 5, 1, 2)`,
    ).run(id, id, id, role, source, diskPath, basePath);
  sqlite.exec(
    `INSERT INTO hypervisors (id, name, name_key, socket_path, maintenance, default_network, created_at)
    VALUES ('h', 'One', 'one', '/run/a.sock', 1, 'bridge:br0', 7)`,
  );
  machine("source", "source", "/i/source.qcow2", null, null);
  machine("gold", "initial", "/i/gold2-1a2b3c4d.v12.qcow2", null, "source");
  machine("adopted", "initial", "/var/lib/libvirt/images/win.img", null, null);
  machine("empty", "initial", null, null, "source");
  machine("desk-1", "vdi", "/i/desk-1.qcow2", "/i/gold2-1a2b3c4d.v12.qcow2", "gold");
  machine("desk-2", "vdi", "/i/desk-2.qcow2", "/i/gold2-1a2b3c4d.v11.qcow2", "gold");

  await migrate(sqlite, migrations, () => null);

  const all = (sql: string) => sqlite.prepare(sql).all().map((row) => ({ ...row }));
  assert.deepEqual(
    all("SELECT name, socket_path, ssh_address, maintenance, default_network, max_starting FROM hypervisors"),
    [{
      ...{ name: "One", socket_path: "/run/a.sock", ssh_address: null, maintenance: 1 },
      ...{ default_network: "bridge:br0", max_starting: 4 },
    }],
  );
  assert.deepEqual(
    all(`SELECT initial_id, number, version.state, path, copy.state AS copy_state
      FROM image_versions AS version JOIN image_copies AS copy ON copy.version_id = version.id ORDER BY initial_id`),
    [
      {
        ...{ initial_id: "adopted", number: 1, state: "sealed" },
        ...{ path: "/var/lib/libvirt/images/win.img", copy_state: "present" },
      },
      {
        ...{ initial_id: "gold", number: 12, state: "sealed" },
        ...{ path: "/i/gold2-1a2b3c4d.v12.qcow2", copy_state: "present" },
      },
    ],
  );
  assert.deepEqual(
    all(`SELECT machine.id, version.number, machine.version_id = machine.current_version_id AS boots_current
      FROM machines AS machine LEFT JOIN image_versions AS version ON version.id = machine.version_id
      WHERE machine.role IN ('initial', 'vdi') ORDER BY machine.id`),
    [
      { id: "adopted", number: 1, boots_current: 1 },
      { id: "desk-1", number: 12, boots_current: null },
      { id: "desk-2", number: null, boots_current: null },
      { id: "empty", number: null, boots_current: null },
      { id: "gold", number: 12, boots_current: 1 },
    ],
  );
  assert.deepEqual(all("PRAGMA foreign_key_check"), []);
});
