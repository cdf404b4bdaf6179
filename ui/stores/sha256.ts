/** SHA-256 of a file piece by piece: crypto.subtle wants all bytes at once. A module of its own, loaded when needed. */
import { createSHA256 } from "hash-wasm";

export interface RunningHash {
  update: (bytes: Uint8Array) => void;
  /** 64 lower-case hex digits; nothing can be added afterwards. */
  finish: () => string;
}

export async function startSha256(): Promise<RunningHash> {
  const hash = await createSHA256();
  hash.init();
  return { update: (bytes) => void hash.update(bytes), finish: () => hash.digest("hex") };
}
