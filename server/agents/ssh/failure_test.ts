import assert from "node:assert/strict";
import { explainFailure, wrongHostKey } from "./failure.ts";

const target = { address: "hv1", port: 2222, username: "kvm-vdi" };
const failed = (message: string, values: { code?: string; level?: string } = {}) =>
  explainFailure(target, Object.assign(new Error(message), values), "Add this line: ssh-ed25519 AAAA.");

Deno.test("explainFailure() tells what is wrong apart, and what to do", () => {
  const cases = [
    [failed("", { code: "ECONNREFUSED" }), "address", /nothing listens on hv1 port 2222/],
    [failed("", { code: "ENOTFOUND" }), "address", /hv1 is not known to the DNS/],
    [failed("", { code: "EHOSTUNREACH" }), "address", /no way to hv1 .*EHOSTUNREACH/],
    [failed("", { code: "ETIMEDOUT" }), "address", /does not answer.*firewall/],
    [failed("Timed out", { level: "client-timeout" }), "address", /frozen or overloaded/],
    [failed("Keepalive timeout", { level: "client-timeout" }), "address", /has stopped answering/],
    [failed("no match", { level: "handshake" }), "address", /how to encrypt \(no match\)/],
    [failed("", { level: "client-authentication" }), "username", /account kvm-vdi in. Add this line: ssh-/],
    [failed("odd"), "address", /failed \(odd\)/],
  ] as const;
  for (const [{ about, message, code }, field, words] of cases) {
    assert.deepEqual([about, code], [field, "unavailable"]);
    assert.match(message, words);
  }
});

Deno.test("wrongHostKey() names both fingerprints", () => {
  const { message, about } = wrongHostKey(target, "SHA256:old", "SHA256:new");
  assert.match(message, /expected SHA256:old, but it presented SHA256:new\./);
  assert.equal(about, "hostKey");
});
