/** The way from nothing to a user's desktop, as steps whose state comes from what is there. */
import type { Overview } from "../../../contracts/settings.ts";

export interface Step {
  id: "source" | "initial" | "vdi" | "pool" | "user";
  title: string;
  text: string;
  button: string;
  href: string;
  state: "done" | "next" | "later";
}

type Counts = Pick<Overview, "machines" | "desktopPoolCount" | "userCount" | "entitlementCount">;

/** The five steps; exactly one is `next` until all are done. */
export function firstDesktopSteps(counts: Counts): Step[] {
  const { byRole } = counts.machines;
  const done = {
    source: byRole.source > 0 || byRole.initial > 0,
    initial: byRole.initial > 0,
    vdi: byRole.vdi > 0,
    pool: counts.desktopPoolCount > 0,
    user: counts.userCount > 0 && counts.entitlementCount > 0,
  };
  const next = steps.find((step) => !done[step.id])?.id;
  return steps.map((step) => ({
    ...step,
    state: done[step.id] ? "done" : step.id === next ? "next" : "later",
  }));
}

export const isFirstDesktopDone = (counts: Counts) =>
  firstDesktopSteps(counts).every((step) => step.state === "done");

const steps: Omit<Step, "state">[] = [
  {
    id: "source",
    title: "Create a source",
    text: "Install the operating system once, from an ISO or an existing image. You update it here later.",
    button: "Create a source",
    href: "/machines/new?role=source",
  },
  {
    id: "initial",
    title: "Copy it to an initial",
    text: "The golden image of your desktops: a copy of the source's disk that is never booted by users.",
    button: "Create an initial",
    href: "/machines/new?role=initial",
  },
  {
    id: "vdi",
    title: "Make desktops",
    text: "Linked clones of the initial: each takes a second and almost no space.",
    button: "Create desktops",
    href: "/machines/new?role=vdi",
  },
  {
    id: "pool",
    title: "Put them into a desktop pool",
    text: "A pool is what users see and click. It gives each of them a free desktop.",
    button: "Create a desktop pool",
    href: "/desktop-pools?new=true",
  },
  {
    id: "user",
    title: "Let a user in",
    text: "Create a user and entitle them to the pool. They sign in at this same address.",
    button: "Create a user",
    href: "/users?new=true",
  },
];
