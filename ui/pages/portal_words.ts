import type { Desktop } from "../../contracts/desktop.ts";
import type { MyDesktopPool } from "../../contracts/desktop_pool.ts";

export interface CardWords {
  /** green: go ahead; blue: something happens; grey: nothing to be had now; orange: something is wrong. */
  tone: "green" | "blue" | "grey" | "orange";
  /** The state in a word or two. */
  state: string;
  detail: string;
}

/** What a card says about a desktop pool and the user's own desktop in it. */
export function cardWords(pool: MyDesktopPool, desktop: Desktop | null): CardWords {
  if (desktop) return desktopWords(desktop);
  switch (pool.availability) {
    case "ready":
    case "yours":
      return { tone: "green", state: "Ready", detail: freeWords(pool.freeCount) };
    case "full":
      return {
        tone: "grey",
        state: "Nothing free",
        detail: pool.reason ?? "Everything is in use. Try again later.",
      };
    case "unavailable":
      return { tone: "grey", state: "Not available", detail: pool.reason ?? "Ask your administrator." };
  }
}

/** Its machine can't be reached: opening it again gives another one. */
export const isDesktopLost = ({ state, error }: Pick<Desktop, "state" | "error">) =>
  (state === "ready" || state === "preparing") && error?.code === "unavailable";

/** The place in the queue of starts, in words; null when it does not wait. */
export function queueWords(queued: number | null): string | null {
  if (queued === null) return null;
  if (queued === 0) return "Yours is the next to be started";
  return queued === 1 ? "1 is being started before yours" : `${queued} are being started before yours`;
}

function desktopWords(desktop: Desktop): CardWords {
  const { state, machine, terminal, error, queued } = desktop;
  const name = machine?.name ?? "your desktop";
  if (isDesktopLost(desktop)) {
    return {
      tone: "orange",
      state: "Can't be reached",
      detail: error?.message ?? "Open it to get another one.",
    };
  }
  if (state === "preparing") {
    return {
      tone: "blue",
      state: queued === null ? "Starting" : "Waiting for its turn",
      detail: queueWords(queued) ?? `${name} is being prepared for you`,
    };
  }
  if (machine && machine.state !== "running") {
    return { tone: "grey", state: "Switched off", detail: `${name} is still yours; opening starts it again` };
  }
  return {
    tone: "green",
    state: "Yours",
    detail: terminal ? `${name}, last opened from ${terminal}` : `${name} is running`,
  };
}

const freeWords = (count: number) =>
  count === 1 ? "1 free" : count > 1 ? `${count} free` : "Starts when you open it";

type DesktopStage = Desktop["stage"];

export interface Step {
  stage: DesktopStage;
  title: string;
  state: "done" | "current" | "pending";
}

const stageTitles: Record<DesktopStage, string> = {
  allocated: "Chosen for you",
  starting: "Switching on",
  booting: "Starting the operating system",
  ready: "Ready",
};
const stages = Object.keys(stageTitles) as DesktopStage[];

/** The steps of a desktop's start, and how many of them are over: that much is known, so that much a bar may show. */
export function stepsOf({ stage, state }: Pick<Desktop, "stage" | "state">): { steps: Step[]; done: number } {
  const current = state === "ready" ? stages.length : stages.indexOf(stage);
  return {
    done: current,
    steps: stages.map((step, index) => ({
      stage: step,
      title: stageTitles[step],
      state: index < current ? "done" : index === current ? "current" : "pending",
    })),
  };
}

export type UserPower = "shutdown" | "reboot" | "destroy";

/** What to ask before a power action, saying what may be lost. */
export function powerQuestion(
  action: UserPower,
  { volatile, machine }: Pick<Desktop, "volatile" | "machine">,
) {
  const name = machine?.name ?? "your desktop";
  const kept = volatile
    ? "Everything saved on it since it started will be gone: this desktop begins fresh each time."
    : "Files that are saved stay.";
  const open = action === "destroy"
    ? "It is switched off at once, as if unplugged: unsaved work is lost, and files may be damaged."
    : "Programs are asked to close. Save your work first.";
  const titles = {
    shutdown: `Shut down ${name}?`,
    reboot: `Restart ${name}?`,
    destroy: `Switch ${name} off by force?`,
  };
  const confirmTexts = { shutdown: "Shut down", reboot: "Restart", destroy: "Switch off" };
  return {
    title: titles[action],
    body: `${open} ${kept}`,
    confirmText: confirmTexts[action],
    danger: action === "destroy" || volatile,
  };
}
