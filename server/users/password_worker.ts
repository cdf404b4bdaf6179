/** The code of a hashing worker, as text: it must also run inside the executable, which is one file. */
import argon2 from "hash-wasm/dist/argon2.umd.min.js" with { type: "text" };

/** RFC 9106's second choice, as OWASP recommends it: 19 MiB, two passes, one lane. */
export const argon2Cost = { memorySize: 19 * 1024, iterations: 2, parallelism: 1, hashLength: 32 } as const;

export type HashTask =
  | { kind: "hash"; password: string; salt: Uint8Array }
  | { kind: "verify"; password: string; hash: string };
/** The encoded hash, or whether the password is right. */
export type HashAnswer = { value: string | boolean } | { error: string };

const serve = `
self.onmessage = async ({ data }) => {
  try {
    const value = data.kind === "hash"
      ? await hashwasm.argon2id({ ...${
  JSON.stringify(argon2Cost)
}, password: data.password, salt: data.salt, outputType: "encoded" })
      : await hashwasm.argon2Verify({ password: data.password, hash: data.hash });
    self.postMessage({ value });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};`;

/** Starts a worker; the caller terminates it. */
export function startPasswordWorker(): Worker {
  const url = URL.createObjectURL(new Blob([argon2, serve], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module", name: "passwords" });
  worker.addEventListener("message", () => URL.revokeObjectURL(url), { once: true });
  return worker;
}
