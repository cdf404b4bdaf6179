/** Whole rows with sensible values, for tests that fill the database by hand. */
import { defaultCapacity } from "../../contracts/hypervisor.ts";
import type { HypervisorRow } from "../../server/db/schema.ts";

/** A hypervisor on the dashboard's own host. */
export const hypervisorRow = (name: string, values: Partial<HypervisorRow> = {}): HypervisorRow => ({
  id: crypto.randomUUID(),
  name,
  name_key: name.toLowerCase(),
  socket_path: `/fake/${name}.sock`,
  ssh_address: null,
  ssh_port: null,
  ssh_username: null,
  ssh_host_key: null,
  enrolled_at: null,
  maintenance: 0,
  drain_mode: null,
  drain_since: null,
  drain_ends_at: null,
  default_network: null,
  display_address: null,
  memory_overcommit: defaultCapacity.memoryOvercommit,
  cpu_overcommit: defaultCapacity.cpuOvercommit,
  max_running: defaultCapacity.maxRunning,
  max_starting: defaultCapacity.maxStarting,
  start_cpu_percent: defaultCapacity.startCpuPercent,
  created_at: 0,
  ...values,
});
