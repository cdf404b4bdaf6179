/** Hypervisors and desktop pools: few, needed on most pages, and kept in step by the event stream. */
import { signal } from "@preact/signals";
import type { DashboardEvent } from "../../contracts/events.ts";
import type { DesktopPool } from "../../contracts/desktop_pool.ts";
import type { Hypervisor } from "../../contracts/hypervisor.ts";
import { call } from "../api.ts";
import { onEvent } from "../events.ts";
import { toastError } from "./toasts.ts";
import { isStaff } from "./session.ts";

export const hypervisors = signal<Hypervisor[]>([]);
export const desktopPools = signal<DesktopPool[]>([]);
/** Whether the lists have been read: an empty one then means that there are none. */
export const placesLoaded = signal(false);

const upsert = <T extends { id: string }>(list: T[], item: T) =>
  list.some((other) => other.id === item.id)
    ? list.map((other) => other.id === item.id ? item : other)
    : [...list, item];

/** Loads both lists; a snapshot event calls it, so that they are right again after every reconnection. */
export async function loadPlaces(): Promise<void> {
  if (!isStaff.peek()) return;
  try {
    const [hosts, pools] = await Promise.all([
      call("listHypervisors", { query: { limit: 500 } }),
      call("listDesktopPools", { query: { limit: 500 } }),
    ]);
    hypervisors.value = hosts.items;
    desktopPools.value = pools.items;
    placesLoaded.value = true;
  } catch (error) {
    toastError("Hypervisors and desktop pools could not be loaded", error);
  }
}

export function applyPlaces(event: DashboardEvent): void {
  switch (event.type) {
    case "snapshot":
      return void loadPlaces();
    case "hypervisor":
      hypervisors.value = upsert(hypervisors.value, event.hypervisor);
      break;
    case "hypervisor-removed":
      hypervisors.value = hypervisors.value.filter((one) => one.id !== event.id);
      break;
    case "desktop-pool":
      desktopPools.value = upsert(desktopPools.value, event.desktopPool);
      break;
    case "desktop-pool-removed":
      desktopPools.value = desktopPools.value.filter((one) => one.id !== event.id);
      break;
  }
}

onEvent(applyPlaces);

export const hypervisorName = (id: string) => hypervisors.value.find((one) => one.id === id)?.name ?? "–";
