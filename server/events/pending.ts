import type { Job } from "../../contracts/job.ts";
import type { Upload } from "../../contracts/storage.ts";
import type { Change } from "../bus.ts";

/** What has changed since the last time it was told, each thing once. */
export class Pending {
  readonly machines = new Set<string>();
  readonly removed = new Map<string, "machine-removed" | "hypervisor-removed" | "desktop-pool-removed">();
  readonly jobs = new Map<string, Job>();
  readonly uploads = new Map<string, Upload>();
  readonly images = new Set<string>();
  readonly hypervisors = new Set<string>();
  readonly desktopPools = new Set<string>();
  readonly users = new Set<string>();
  readonly leases = new Set<string>();
  readonly entitled = new Set<string>();
  allEntitled = false;
  audit: number | null = null;
  /** Hypervisors whose machines have new load figures. */
  readonly loads = new Set<string>();
  overview = false;

  add(change: Change): void {
    switch (change.type) {
      case "machines":
        for (const id of change.ids) this.machines.add(id);
        break;
      case "machine-load":
        this.loads.add(change.hypervisorId);
        return;
      case "job":
        this.jobs.set(change.job.id, change.job);
        break;
      case "hypervisor":
        this.hypervisors.add(change.id);
        break;
      case "desktop-pool":
        this.desktopPools.add(change.id);
        break;
      case "machine-removed":
      case "hypervisor-removed":
      case "desktop-pool-removed":
        this.removed.set(change.id, change.type);
        break;
      case "entitlements":
        if (change.userIds === "all") this.allEntitled = true;
        else for (const id of change.userIds) this.entitled.add(id);
        break;
      case "user":
        this.users.add(change.id);
        break;
      case "lease":
        this.leases.add(change.id);
        break;
      case "audit":
        this.audit = change.id;
        return;
      case "upload":
        this.uploads.set(change.upload.id, change.upload);
        return;
      case "image":
        this.images.add(change.id);
        return;
      case "settings":
        return;
    }
    this.overview = true;
  }
}
