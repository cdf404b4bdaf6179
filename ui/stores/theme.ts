/** Light, dark, or as the system is; remembered in this browser. */
import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const key = "kvm-vdi.theme";
const isTheme = (text: string | null): text is Theme =>
  text === "light" || text === "dark" || text === "system";

const stored = globalThis.localStorage?.getItem(key) ?? null;
export const theme = signal<Theme>(isTheme(stored) ? stored : "system");
/** What the page shows now; what draws its own colours follows it. */
export const isDark = signal(false);

/** Keeps the page's class in step with the choice and the system. Called once at start. */
export function startTheme(): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const systemDark = signal(system.matches);
  system.addEventListener("change", () => systemDark.value = system.matches);
  effect(() => {
    localStorage.setItem(key, theme.value);
    const dark = theme.value === "dark" || (theme.value === "system" && systemDark.value);
    document.documentElement.classList.toggle("pf-v6-theme-dark", dark);
    isDark.value = dark;
  });
}
