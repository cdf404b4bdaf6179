import assert from "node:assert/strict";
import { CreateMachine } from "../../../contracts/machine.ts";
import { newMachine, problemsOf, requestOf } from "./new_machine.ts";

const id = "00000000-0000-4000-8000-000000000001";
const form = (query: string, patch: Partial<ReturnType<typeof newMachine>> = {}) => ({
  ...newMachine(new URLSearchParams(query)),
  hypervisorId: id,
  ...patch,
});

Deno.test("newMachine() takes role and source from the address and ignores nonsense", () => {
  assert.equal(newMachine(new URLSearchParams(`role=vdi&sourceId=${id}`)).sourceId, id);
  assert.equal(newMachine(new URLSearchParams("role=emperor")).role, "source");
});

Deno.test("requestOf() asks for a blank disk in bytes for a source", () => {
  const request = requestOf(
    form("role=source", { name: "win11-source", diskGiB: "1.5", iso: "/iso/win11.iso" }),
  );
  assert.deepEqual(request.disk, { kind: "blank", bytes: 1.5 * 1024 ** 3 });
  assert.equal(request.iso, "/iso/win11.iso");
  assert.equal(request.sourceId, undefined);
  assert.ok(CreateMachine.safeParse(request).success);
});

Deno.test("requestOf() makes clones of the initial without a disk of their own", () => {
  const request = requestOf(
    form(`role=vdi&sourceId=${id}`, { name: "lab-{nn}", count: "12", virtualSnapshot: true }),
  );
  assert.equal(request.count, 12);
  assert.equal(request.sourceId, id);
  assert.equal(request.disk, undefined);
  assert.equal(request.populate, true);
  assert.equal(request.virtualSnapshot, true);
});

Deno.test("requestOf() never asks for several sources", () => {
  assert.equal(requestOf(form("role=source", { name: "a", count: "9" })).count, 1);
});

Deno.test("problemsOf() names each field that is wrong", () => {
  assert.deepEqual(Object.keys(problemsOf(form("role=vdi"))).sort(), ["name", "sourceId"]);
  assert.ok(problemsOf(form(`role=vdi&sourceId=${id}`, { name: "lab", count: "3" })).name?.includes("{n}"));
  assert.ok(problemsOf(form("role=source", { name: "bad name!" })).name);
  assert.ok(problemsOf(form("role=source", { name: "a", vcpus: "0" })).vcpus);
  assert.ok(problemsOf(form("role=simple", { name: "a", disk: "import" }))["disk.path"]);
  assert.deepEqual(problemsOf(form("role=source", { name: "win11-source" })), {});
});
