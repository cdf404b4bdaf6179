import { AppError } from "../../contracts/errors.ts";

/** A snapshot of thousands of domains fits; a line that never ends does not. */
const lineLimitChars = 64 * 1024 * 1024;

/** Splits a stream into its non-empty lines. @throws {AppError} `unavailable` when a line is longer than the limit. */
export async function* readNdjson(
  chunks: AsyncIterable<Uint8Array>,
  limitChars = lineLimitChars,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    const last = lines.pop()!;
    for (const line of lines) {
      parts.push(line);
      const whole = parts.join("");
      parts = [];
      length = 0;
      if (whole.trim() !== "") yield whole;
    }
    parts.push(last);
    length += last.length;
    if (length > limitChars) throw new AppError("unavailable", "its agent sends an event without end.");
  }
}
