/** How new desktops will about be spread: the dashboard decides, by what is free when they are made. */
import type { Hypervisor } from "../../../contracts/hypervisor.ts";

export interface Share {
  hypervisor: Hypervisor;
  count: number;
}

/** Memory that can still be given to running machines; 0 while a hypervisor is not known. */
export const roomMiB = ({ facts, capacity, committed }: Hypervisor) =>
  Math.max(0, (facts?.memoryMiB ?? 0) * capacity.memoryOvercommit - committed.memoryMiB);

/** Gives each desktop to the hypervisor with the most memory left; once nothing is left anywhere, evenly. */
export function previewSpread(places: Hypervisor[], count: number, memoryMiB: number): Share[] {
  const shares = places.map((hypervisor) => ({ hypervisor, count: 0 }));
  const left = ({ hypervisor, count }: Share) => roomMiB(hypervisor) - count * memoryMiB;
  for (let n = 0; n < count && shares.length > 0; n++) {
    shares.reduce((best, one) => {
      const difference = left(one) - left(best);
      return difference > 0 || difference === 0 && one.count < best.count ? one : best;
    }).count++;
  }
  return shares;
}
