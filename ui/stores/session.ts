/** Who is signed in. `undefined` while we do not know yet, `null` when nobody is. */
import { computed, signal } from "@preact/signals";
import type { z } from "zod";
import type { Session, SetupState } from "../../contracts/user.ts";
import { call, onUnauthenticated } from "../api.ts";
import { startEvents, stopEvents } from "../events.ts";

export type SessionState = z.infer<typeof Session>;

export const session = signal<SessionState | null | undefined>(undefined);
export const setup = signal<z.infer<typeof SetupState> | null>(null);
/** Set when the dashboard could not be asked at all. */
export const sessionError = signal<unknown>(null);

export const me = computed(() => session.value?.user ?? null);
export const isAdmin = computed(() => me.value?.role === "admin");
/** Admins and operators see the console; users see their desktops. */
export const isStaff = computed(() => me.value !== null && me.value.role !== "user");
export const siteName = computed(() => session.value?.siteName ?? setup.value?.siteName ?? "KVM-VDI");

/** Asks the dashboard who we are, and whether the first admin must still be made. */
export async function loadSession(): Promise<void> {
  sessionError.value = null;
  try {
    setup.value = await call("getSetup");
    if (setup.value.session) adoptSession(setup.value.session);
    else session.value = null;
  } catch (error) {
    sessionError.value = error;
  }
}

/** Takes the answer of sign-in or setup as the session from now on. */
export function adoptSession(state: SessionState): void {
  session.value = state;
  if (setup.value?.required) setup.value = { ...setup.value, required: false };
  startEvents();
}

export async function signOut(): Promise<void> {
  await call("signOut");
  forgetSession();
}

function forgetSession(): void {
  stopEvents();
  session.value = null;
}

onUnauthenticated(() => {
  if (session.peek()) forgetSession();
});
