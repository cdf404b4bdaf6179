/** SSH public keys as OpenSSH shows them. Format: RFC 4253, section 6.6. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { z } from "zod";
import type { HostKey, SshTarget } from "../../../contracts/hypervisor.ts";

type PublicKey = z.infer<typeof HostKey>;

/** The fingerprint as `ssh-keygen -l` shows it. */
export const fingerprintOf = (key: Uint8Array): string =>
  `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;

/** A public key in its wire format, with what people compare. */
export function describeKey(key: Uint8Array): PublicKey {
  return {
    algorithm: algorithmOf(key),
    key: Buffer.from(key).toString("base64"),
    fingerprint: fingerprintOf(key),
  };
}

export const withFingerprint = (key: SshTarget["hostKey"]): PublicKey => ({
  ...key,
  fingerprint: fingerprintOf(Buffer.from(key.key, "base64")),
});

function algorithmOf(key: Uint8Array): string {
  const bytes = Buffer.from(key);
  const length = bytes.length < 4 ? 0 : bytes.readUInt32BE(0);
  return bytes.subarray(4, 4 + length).toString("latin1");
}

/** SHA-1 signatures are left out. */
const signatures = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
];

/**
 * What to ask a host for: first the kind of key that is known, so that a host with several shows that one. The others
 * follow, so that a host that has lost it shows what it has instead.
 */
export function hostKeyAlgorithms(algorithm: string | null): string[] {
  const isKnown = (name: string) => algorithm === "ssh-rsa" ? name.startsWith("rsa-") : name === algorithm;
  return [...signatures.filter(isKnown), ...signatures.filter((name) => !isKnown(name))];
}
