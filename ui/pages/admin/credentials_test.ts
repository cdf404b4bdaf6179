import assert from "node:assert/strict";
import { EnrolCredentials } from "../../../contracts/hypervisor.ts";
import { areComplete, credentialErrors, credentialsOf, noCredentials } from "./credentials.ts";

Deno.test("credentialsOf() sends only what belongs to the way that was chosen", () => {
  const both = { ...noCredentials, username: " ada ", password: "pw", privateKey: "KEY", passphrase: "pp" };
  assert.deepEqual(credentialsOf(both), { username: "ada", password: "pw" });
  assert.deepEqual(credentialsOf({ ...both, by: "key", sudoPassword: "sudo" }), {
    username: "ada",
    privateKey: "KEY\n",
    passphrase: "pp",
    sudoPassword: "sudo",
  });
  assert.equal(EnrolCredentials.safeParse(credentialsOf(both)).success, true);
});

Deno.test("credentialsOf() has no sudo password for root", () => {
  const root = { ...noCredentials, password: "pw", sudoPassword: "left over" };
  assert.deepEqual(credentialsOf(root), { username: "root", password: "pw" });
});

Deno.test("areComplete() needs an account and the secret of the way that was chosen", () => {
  assert.equal(areComplete(noCredentials), false);
  assert.equal(areComplete({ ...noCredentials, password: "pw" }), true);
  assert.equal(areComplete({ ...noCredentials, by: "key", password: "pw" }), false);
  assert.equal(areComplete({ ...noCredentials, username: " ", password: "pw" }), false);
});

Deno.test("credentialErrors() finds the fields of both requests", () => {
  assert.deepEqual(credentialErrors({ "enrol.password": "a", username: "b" }), {
    password: "a",
    username: "b",
  });
});
