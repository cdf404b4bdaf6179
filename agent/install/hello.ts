import http from "node:http";
import { text } from "node:stream/consumers";
import { Hello } from "../../contracts/agent.ts";
import { waitUnlessAborted } from "../../lib/wait.ts";

/** What the agent on a socket says about itself; null when none answers, whatever is in the way. */
export async function askHello(socketPath: string): Promise<Hello | null> {
  const signal = AbortSignal.timeout(3_000);
  try {
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ socketPath, path: "/hello", agent: false, signal }, resolve).on("error", reject);
    });
    // An agent of another version may say more or less.
    return Hello.safeParse(JSON.parse(await text(answer))).data ?? null;
  } catch {
    return null;
  }
}

/** Asks until an answer satisfies; null when none did in time. */
export async function untilHello(
  socketPath: string,
  isIt: (hello: Hello | null) => boolean,
  timeoutMs: number,
  everyMs = 100,
): Promise<boolean> {
  const signal = AbortSignal.timeout(timeoutMs);
  while (!signal.aborted) {
    if (isIt(await askHello(socketPath))) return true;
    await waitUnlessAborted(everyMs, signal);
  }
  return false;
}
