/**
 * New SSH keys. ssh2's own `generateKeyPair` is not used: one in a hundred of its ed25519 keys cannot be read again.
 * Format: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 */
import { Buffer } from "node:buffer";
import { generateKeyPair, randomBytes } from "node:crypto";
import { promisify } from "node:util";

const rsaBits = 3072;

/** A private key as a file for OpenSSH and ssh2, without passphrase. */
export async function makePrivateKey(algorithm: "ed25519" | "rsa", comment: string): Promise<string> {
  if (algorithm === "ed25519") return await makeEd25519(comment);
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: rsaBits });
  return privateKey.export({ type: "pkcs1", format: "pem" }) as string;
}

async function makeEd25519(comment: string): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("ed25519", {});
  const { d, x } = privateKey.export({ format: "jwk" });
  const seed = Buffer.from(d!, "base64url");
  const point = Buffer.from(x!, "base64url");
  const check = randomBytes(4);
  const type = text("ssh-ed25519");
  const secret = Buffer.concat([
    ...[check, check, type, block(point)],
    ...[block(Buffer.concat([seed, point])), text(comment)],
  ]);
  const padding = Buffer.from(Array.from({ length: -secret.length & 7 }, (_, index) => index + 1));
  const key = Buffer.concat([
    ...[Buffer.from("openssh-key-v1\0"), text("none"), text("none"), text(""), uint32(1)],
    ...[block(Buffer.concat([type, block(point)])), block(Buffer.concat([secret, padding]))],
  ]);
  const lines = key.toString("base64").replace(/.{70}/g, "$&\n").trimEnd();
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
const block = (bytes: Uint8Array) => Buffer.concat([uint32(bytes.length), bytes]);
const text = (value: string) => block(Buffer.from(value));
