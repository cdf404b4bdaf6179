/** What libvirt told about a domain. A hint only: whoever gets it reads the domain again. */
export type LibvirtEvent =
  | { type: "lifecycle"; name: string; event: string; detail: string }
  | { type: "graphics"; name: string; phase: "connect" | "initialize" | "disconnect" }
  | { type: "agent-lifecycle"; name: string; connected: boolean }
  /** The guest has reset itself; told two or three times. */
  | { type: "rebooted"; name: string }
  /** Why QEMU ends: `guest-shutdown`, `guest-reset`, `host-signal`, ... */
  | { type: "shutdown-cause"; name: string; cause: string }
  | { type: "changed"; name: string };

/** Parses a line of `virsh event --loop --all --timestamp`; null when it tells nothing of interest. */
export function parseEventLine(line: string): LibvirtEvent | null {
  const match = /^\S+ \S+: event '([a-z-]+)' for domain '(.*?)'(?:: (.*))?$/.exec(line);
  if (!match) return null;
  const [, kind = "", name = "", detail = ""] = match;
  const [first = "", ...rest] = detail.split(" ");
  switch (kind) {
    case "lifecycle":
      return { type: "lifecycle", name, event: first, detail: rest.join(" ") };
    case "graphics":
      return first === "connect" || first === "initialize" || first === "disconnect"
        ? { type: "graphics", name, phase: first }
        : null;
    case "agent-lifecycle":
      return { type: "agent-lifecycle", name, connected: detail.includes("'connected'") };
    case "reboot":
      return { type: "rebooted", name };
    case "rtc-change":
    case "balloon-change":
    case "watchdog":
    case "block-threshold":
      return null;
    default:
      return { type: "changed", name };
  }
}

/** Parses a line of `virsh qemu-monitor-event --loop --timestamp`: the first cause of an end is the real one. */
export function parseMonitorLine(line: string): LibvirtEvent | null {
  const [, name, cause] =
    /^\S+ \S+: event SHUTDOWN for domain '(.*?)': \{.*"reason":"([a-z-]+)".*\}$/.exec(line) ?? [];
  return name === undefined || cause === undefined ? null : { type: "shutdown-cause", name, cause };
}
