import { AppError } from "../../contracts/errors.ts";
import { call } from "../api.ts";

const firstIntervalMs = 30_000;
const finalErrors = ["not_found", "unauthenticated", "forbidden"];

/** Tells the dashboard that a desktop is still in use, whether its page can be seen or not. @returns what stops it */
export function startHeartbeats(desktopId: string): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  async function beat(): Promise<void> {
    let intervalMs = firstIntervalMs;
    try {
      const { intervalSeconds } = await call("heartbeat", { params: { id: desktopId } });
      intervalMs = intervalSeconds * 1000;
    } catch (error) {
      // The console itself says what is wrong; an outage must not stop the heartbeats after it.
      if (error instanceof AppError && finalErrors.includes(error.code)) return;
    }
    if (!stopped) timer = setTimeout(() => void beat(), intervalMs);
  }
  void beat();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
