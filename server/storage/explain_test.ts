import assert from "node:assert/strict";
import type { StoredFile } from "../../contracts/storage.ts";
import { Explainer } from "./explain.ts";
import type { KnownFiles } from "./store.ts";

const here = "hypervisor-1";
const known: KnownFiles = {
  copies: [],
  machines: [
    { id: "11111111-0000-4000-8000-000000000000", name: "here-1", hypervisor_id: here },
    { id: "22222222-0000-4000-8000-000000000000", name: "there-1", hypervisor_id: "hypervisor-2" },
  ],
  dataDisks: [],
  uploads: [],
  elsewhere: new Map(),
};
const file = (name: string, values: Partial<StoredFile> = {}): StoredFile => ({
  path: `/images/${name}`,
  kind: "stray",
  format: "qcow2",
  allocatedBytes: 1,
  virtualBytes: 1,
  backingPath: null,
  modifiedAt: 0,
  domainIds: [],
  version: null,
  inUse: false,
  ...values,
});
const explain = (stored: StoredFile, more: Partial<KnownFiles> = {}) =>
  new Explainer(here, { ...known, ...more }).explain(stored);

Deno.test("explain() keeps what belongs to a machine of this hypervisor, even when its domain is missing", () => {
  const { removable, ownerName, reason } = explain(file("here-1-11111111.qcow2"));
  assert.deepEqual([removable, ownerName], [false, "here-1"]);
  assert.match(reason, /does not use it now/);
});

Deno.test("explain() offers what a machine left behind when it moved away", () => {
  const { removable, ownerName, reason } = explain(file("there-1-22222222.qcow2"));
  assert.deepEqual([removable, ownerName], [true, "there-1"]);
  assert.match(reason, /on another hypervisor/);
});

Deno.test("explain() keeps what another hypervisor uses at the same path: it may be shared storage", () => {
  for (const kind of ["version", "overlay", "disk", "data", "iso", "import", "stray"] as const) {
    const elsewhere = new Map([["/images/there-1-22222222.qcow2", "south"]]);
    const { removable, reason } = explain(file("there-1-22222222.qcow2", { kind }), { elsewhere });
    assert.equal(removable, false, kind);
    assert.match(reason, /south/);
  }
});

Deno.test("explain() never offers what is in use, whatever its kind", () => {
  for (
    const kind of ["version", "overlay", "disk", "iso", "import", "scratch", "partial", "stray"] as const
  ) {
    assert.equal(explain(file("x-33333333.qcow2", { kind, inUse: true })).removable, false, kind);
  }
});

Deno.test("explain() knows a version by its copy's path, also where its initial is not", () => {
  const path = "/images/gold-33333333.v2.qcow2";
  const copy = {
    version_id: "v",
    hypervisor_id: here,
    path,
    state: "present",
    error: null,
    allocated_bytes: 1,
    number: 2,
    initial_id: "33333333-0000-4000-8000-000000000000",
    initial_name: "gold",
    current: false,
  } as const;
  const explained = explain(file("gold-33333333.v2.qcow2", { version: 2 }), { copies: [copy] });
  assert.deepEqual([explained.kind, explained.ownerName, explained.removable], ["version", "gold", false]);
  const unknown = explain(file("gold-33333333.v3.qcow2", { version: 3 }), { copies: [copy] });
  assert.equal(unknown.removable, true);
});

Deno.test("explain() leaves data disks and uploads to their own pages", () => {
  const disk = {
    id: "d",
    scope: "user",
    machine_id: null,
    user_id: "u",
    owner_name: "anna",
    hypervisor_id: here,
    path: "/images/user-anna-44444444.data.qcow2",
    bytes: 1,
    attached_to: null,
    created_at: 0,
  } as const;
  const data = explain(file("user-anna-44444444.data.qcow2", { kind: "data" }), { dataDisks: [disk] });
  assert.deepEqual([data.removable, /anna/.test(data.reason)], [false, true]);
  const nobodys = explain(file("user-otto-55555555.data.qcow2", { kind: "data" }), { dataDisks: [disk] });
  assert.equal(nobodys.removable, true);
});
