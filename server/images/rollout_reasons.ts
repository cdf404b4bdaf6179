/** Why a clone has not moved to the version that is being rolled out yet, as a pure function. */

export interface CloneFacts {
  /** Of its domain; null: it has none. */
  state: string | null;
  hypervisor: { name: string; usable: boolean };
  /** Who has a lease on it. */
  username: string | null;
  /** Somebody lost it with its hypervisor and shall find it again. */
  kept: boolean;
  /** An open job works on it. */
  held: boolean;
  maintenance: boolean;
  viewers: number;
  /** Why moving it failed; it stays where it is until somebody asks for it again. */
  failure: string | null;
}

/** For people; null: it can be moved now. */
export function reasonToWait(clone: CloneFacts): string | null {
  const { state, hypervisor, username } = clone;
  if (username !== null) return `in use by ${username}`;
  if (!hypervisor.usable) return `its hypervisor ${hypervisor.name} is offline`;
  if (clone.failure !== null) {
    return `failed: ${clone.failure} Populate it, or publish again, to try once more.`;
  }
  if (clone.held) return "a job works on it";
  if (clone.kept) return "it is kept for a user who lost it";
  if (state === null) return "its domain is missing on the hypervisor";
  if (state === "shut-off" || state === "crashed") return null;
  if (state !== "running") return `it is ${state}; it moves when it is off`;
  if (clone.maintenance) return "it runs in maintenance; it moves when it is off";
  if (clone.viewers > 0) return "somebody looks at its display; it moves when it is off";
  return null;
}
