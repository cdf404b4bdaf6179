import assert from "node:assert/strict";
import { readNdjson } from "./ndjson.ts";

const bytes = (...texts: string[]) =>
  ReadableStream.from(texts.map((text) => new TextEncoder().encode(text)));

Deno.test("readNdjson() puts lines together from any pieces and skips empty ones", async () => {
  const lines = await Array.fromAsync(readNdjson(bytes("a", "b\n\nc", "\r\n", "d\ne\nf")));
  assert.deepEqual(lines, ["ab", "c\r", "d", "e"]);
});

Deno.test("readNdjson() refuses a line without end", async () => {
  await assert.rejects(Array.fromAsync(readNdjson(bytes("aaaa", "bbbb", "cccc"), 10)), {
    code: "unavailable",
  });
});
