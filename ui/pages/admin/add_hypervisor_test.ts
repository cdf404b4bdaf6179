import assert from "node:assert/strict";
import { CreateHypervisor } from "../../../contracts/hypervisor.ts";
import { changeDraft, isStepComplete, nameOf, newDraft, requestOf, stepOfError } from "./add_hypervisor.ts";

const hostKey = { algorithm: "ssh-ed25519", key: "AAAA", fingerprint: "SHA256:x" };
const known = { ...newDraft, address: "hv7.lab.example", hostKey, confirmed: true };

Deno.test("changeDraft() forgets a confirmed key when the address or the port changes, not when it does not", () => {
  assert.equal(changeDraft(known, { address: "hv8" }).hostKey, null);
  assert.equal(changeDraft(known, { port: "2222" }).confirmed, false);
  assert.equal(changeDraft(known, { address: known.address, name: "x" }).confirmed, true);
});

Deno.test("nameOf() is what was typed, else the short host name, else the whole IP address", () => {
  assert.equal(nameOf({ name: " lab ", address: "hv7.lab.example" }), "lab");
  assert.equal(nameOf({ name: "", address: "hv7.lab.example" }), "hv7");
  assert.equal(nameOf({ name: "", address: "10.0.0.7" }), "10.0.0.7");
  assert.equal(nameOf({ name: "", address: "fd00::7" }), "fd00::7");
});

Deno.test("isStepComplete() does not let a key pass that nobody has confirmed", () => {
  assert.equal(isStepComplete("key", { ...known, confirmed: false }), false);
  assert.equal(isStepComplete("key", known), true);
  assert.equal(isStepComplete("place", { ...newDraft, where: "here" }), false);
  assert.equal(isStepComplete("agent", newDraft), false);
});

Deno.test("requestOf() has credentials only when the agent is to be installed", () => {
  const credentials = { ...newDraft.credentials, password: "pw" };
  const install = CreateHypervisor.parse(requestOf({ ...known, credentials }));
  assert.deepEqual(install.enrol, { username: "root", password: "pw" });
  assert.equal(install.ssh?.username, "kvm-vdi");
  const manual = CreateHypervisor.parse(requestOf({ ...known, credentials, how: "manual", username: "vdi" }));
  assert.deepEqual([manual.enrol, manual.ssh?.username], [undefined, "vdi"]);
  const here = requestOf({ ...known, where: "here", name: "local" });
  assert.deepEqual(here, { name: "local", socketPath: "/run/kvm-vdi/agent.sock" });
});

Deno.test("stepOfError() leads back to the step that has the field, never to one that does not show it", () => {
  assert.equal(stepOfError({ "ssh.address": "is taken" }, known), "place");
  assert.equal(stepOfError({ "enrol.password": "is needed" }, known), null);
  assert.equal(stepOfError({ socketPath: "no agent answers" }, known), null);
  assert.equal(stepOfError({ socketPath: "no agent answers" }, { where: "here" }), "place");
});
