import type { ViewerEnd } from "./display_viewer.ts";

export interface EndWords {
  title: string;
  text: string;
  /** Of the button that opens the display again. */
  again: string;
}

/** Reasons after which the display is not opened again without being asked to, and how to say them. */
export const finalWords: Partial<Record<ViewerEnd, EndWords>> = {
  takenOverByYou: {
    title: "You opened this screen somewhere else",
    text: "It is now shown in another window or on another device.",
    again: "Use it here",
  },
  takenOver: {
    title: "Someone else opened this screen",
    text: "An administrator or another user is looking at it now. Ask before you take it back.",
    again: "Take it back",
  },
  leaseEnded: {
    title: "Your desktop was given back",
    text: "Your time on it is over, or an administrator ended it.",
    again: "Open it again",
  },
  kicked: {
    title: "An administrator closed this connection",
    text: "The machine may still be running.",
    again: "Connect again",
  },
};

/** What happened, while the page connects again by itself. */
export const lostWords: Record<ViewerEnd, string> = {
  lost: "The connection was lost.",
  restarting: "The dashboard restarts.",
  displayClosed: "The machine closed its screen.",
  unreachable: "The machine's screen could not be reached.",
  staleTicket: "The ticket for this screen was too old.",
  refused: "The screen did not accept the ticket.",
  takenOver: "Someone else opened this screen.",
  takenOverByYou: "You opened this screen somewhere else.",
  leaseEnded: "Your desktop was given back.",
  kicked: "An administrator closed this connection.",
};
