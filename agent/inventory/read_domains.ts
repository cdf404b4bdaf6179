import type { MachineState } from "../../contracts/machine.ts";
import { type ParsedDomain, readDomain } from "../libvirt/domain_xml.ts";
import type { Virsh } from "../libvirt/virsh.ts";

/** A domain as libvirt has it at one moment. */
export interface DomainReading {
  /** The running configuration; of a domain that is off, the same as `definition`. */
  live: ParsedDomain;
  /** What the next start uses. */
  definition: ParsedDomain;
  state: MachineState;
  stateReason: string | null;
  persistent: boolean;
}

/**
 * Reads many domains with one process. Null for a domain that could not be read; it need not be gone.
 * @throws {AppError} when libvirt is not reachable.
 */
export async function readDomains(
  virsh: Virsh,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, DomainReading | null>> {
  const commandsOf = (id: string) => [
    `dumpxml ${id}`,
    `dumpxml ${id} --inactive`,
    `domstate ${id} --reason`,
    `dominfo ${id}`,
  ];
  const outputs = await virsh.batch(ids.flatMap(commandsOf), { signal });
  return new Map(ids.map((id, index) => [id, parseReading(outputs.slice(index * 4, index * 4 + 4))]));
}

function parseReading([live = "", definition = "", state = "", info = ""]: string[]): DomainReading | null {
  if (!live.trim() || !definition.trim() || !state.trim() || !info.trim()) return null;
  return {
    live: readDomain(live),
    definition: readDomain(definition),
    ...parseState(state),
    persistent: /^Persistent:\s+yes\s*$/m.test(info),
  };
}

const states: Record<string, MachineState> = {
  "running": "running",
  "idle": "running",
  "in shutdown": "running",
  "paused": "paused",
  "shut off": "shut-off",
  "crashed": "crashed",
  "pmsuspended": "suspended",
};

/** Parses `domstate --reason`, as `shut off (destroyed)`. */
export function parseState(text: string): { state: MachineState; stateReason: string | null } {
  const [, name = "", reason] = /^([a-z ]+?)(?: \((.*)\))?$/.exec(text.trim()) ?? [];
  return {
    state: states[name] ?? "unknown",
    stateReason: reason === undefined || reason === "unknown" ? null : reason,
  };
}
