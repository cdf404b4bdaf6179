import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describeKey, hostKeyAlgorithms, withFingerprint } from "./host_key.ts";

// ssh-keygen -lf says SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU of GitHub's key, as it publishes it.
const key = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
const fingerprint = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";

Deno.test("describeKey() and withFingerprint() say what ssh-keygen says", () => {
  const described = describeKey(Buffer.from(key, "base64"));
  assert.deepEqual(described, { algorithm: "ssh-ed25519", key, fingerprint });
  assert.deepEqual(withFingerprint({ algorithm: "ssh-ed25519", key }), described);
});

Deno.test("describeKey() takes bytes that are no key", () => {
  for (const bytes of [[], [0, 0], [255, 255, 255, 255, 65]]) {
    assert.equal(typeof describeKey(Uint8Array.from(bytes)).algorithm, "string");
  }
});

Deno.test("hostKeyAlgorithms() asks for the known kind first, and never for SHA-1", () => {
  assert.deepEqual(hostKeyAlgorithms("ssh-rsa").slice(0, 2), ["rsa-sha2-512", "rsa-sha2-256"]);
  assert.equal(hostKeyAlgorithms("ecdsa-sha2-nistp384")[0], "ecdsa-sha2-nistp384");
  assert.equal(hostKeyAlgorithms(null)[0], "ssh-ed25519");
  for (const known of ["ssh-rsa", "ssh-ed25519", "unheard-of", null]) {
    const asked = hostKeyAlgorithms(known);
    assert.equal(asked.length, 6);
    assert.ok(!asked.includes("ssh-rsa") && !asked.includes("ssh-dss"));
  }
});
