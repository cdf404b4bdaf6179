import { useEffect, useState } from "preact/hooks";

interface KeyboardLock {
  lock?(): Promise<void>;
  unlock?(): void;
}

/** Full screen of the whole page, with the system's keys (Alt+Tab, Super, Escape) going to the guest where possible. */
export function useFullScreen() {
  const [active, setActive] = useState(document.fullscreenElement !== null);
  useEffect(() => {
    const follow = () => setActive(document.fullscreenElement !== null);
    document.addEventListener("fullscreenchange", follow);
    return () => {
      document.removeEventListener("fullscreenchange", follow);
      if (document.fullscreenElement) void document.exitFullscreen();
    };
  }, []);
  return { active, isPossible: document.fullscreenEnabled, toggle: () => void toggle() };
}

async function toggle(): Promise<void> {
  const keyboard = (navigator as Navigator & { keyboard?: KeyboardLock }).keyboard;
  try {
    if (document.fullscreenElement) return await document.exitFullscreen();
    await document.documentElement.requestFullscreen({ navigationUI: "hide" });
    await keyboard?.lock?.();
  } catch (error) {
    console.debug("full screen or keyboard lock refused", error);
  }
}
