/** The tables of migrations/ as Kysely sees them. Booleans are 0 or 1, times Unix ms, JSON is text. */
import type { Generated, Kysely } from "kysely";
import type { AfterUse } from "../../contracts/desktop_pool.ts";
import type { DesktopStage, DesktopState } from "../../contracts/desktop.ts";
import type { DrainMode } from "../../contracts/hypervisor.ts";
import type { PublishMode, VersionCopy, VersionState } from "../../contracts/image.ts";
import type { JobKind, JobState } from "../../contracts/job.ts";
import type { MachineState, OsType, Role } from "../../contracts/machine.ts";
import type { UserRole } from "../../contracts/user.ts";
import type { z } from "zod";

export type Flag = 0 | 1;

export interface SettingRow {
  key: string;
  value: string;
}
export interface UserRow {
  id: string;
  username: string;
  username_key: string;
  display_name: string;
  role: UserRole;
  password_hash: string;
  disabled: Flag;
  failed_sign_ins: number;
  locked_until: number | null;
  last_sign_in_at: number | null;
  created_at: number;
}
export interface SessionRow {
  token_hash: string;
  user_id: string;
  kind: "cookie" | "token";
  address: string | null;
  created_at: number;
  expires_at: number;
}
export interface HypervisorRow {
  id: string;
  name: string;
  name_key: string;
  socket_path: string;
  /** Null: the socket is on this host. */
  ssh_address: string | null;
  ssh_port: number | null;
  ssh_username: string | null;
  /** JSON {algorithm, key}. */
  ssh_host_key: string | null;
  enrolled_at: number | null;
  maintenance: Flag;
  drain_mode: z.infer<typeof DrainMode> | null;
  drain_since: number | null;
  drain_ends_at: number | null;
  default_network: string | null;
  display_address: string | null;
  memory_overcommit: number;
  cpu_overcommit: number;
  max_running: number | null;
  max_starting: number;
  start_cpu_percent: number;
  created_at: number;
}
export interface HypervisorLoadRow {
  hypervisor_id: string;
  at: number;
  minutes: number;
  cpu_percent: number;
  memory_used_mib: number;
  running: number;
  free_bytes: number;
}
export interface ImageVersionRow {
  id: string;
  initial_id: string;
  number: number;
  state: VersionState;
  booted: Flag;
  pinned: Flag;
  sha256: string | null;
  virtual_bytes: number;
  note: string;
  /** JSON, ids: where it shall be once it is sealed, besides where its clones are. */
  hypervisor_ids: string;
  created_at: number;
  created_by: string | null;
  sealed_at: number | null;
  published_at: number | null;
}
export interface ImageCopyRow {
  version_id: string;
  hypervisor_id: string;
  path: string;
  state: z.infer<typeof VersionCopy>["state"];
  error: string | null;
  allocated_bytes: number;
}
export interface RolloutRow {
  initial_id: string;
  version_id: string;
  mode: z.infer<typeof PublishMode>;
  message: string | null;
  total: number;
  started_at: number;
  ends_sessions_at: number | null;
}
export interface DataDiskRow {
  id: string;
  scope: "machine" | "user";
  machine_id: string | null;
  user_id: string | null;
  owner_name: string;
  hypervisor_id: string;
  path: string;
  bytes: number;
  attached_to: string | null;
  created_at: number;
}
export interface UploadRow {
  id: string;
  hypervisor_id: string;
  file_name: string;
  bytes: number;
  received_bytes: number;
  state: "receiving" | "done" | "failed";
  error: string | null;
  wanted_sha256: string | null;
  sha256: string | null;
  path: string | null;
  format: string | null;
  started_by: string;
  started_at: number;
  changed_at: number;
}
export interface MachineRow {
  id: string;
  name: string;
  name_key: string;
  role: Role;
  os_type: OsType;
  hypervisor_id: string;
  source_id: string | null;
  state: MachineState;
  state_reason: string | null;
  maintenance: Flag;
  locked: Flag;
  virtual_snapshot: Flag;
  vcpus: number;
  memory_mib: number;
  mac: string | null;
  network: string;
  video: "qxl" | "virtio";
  iso: string | null;
  disk_path: string | null;
  disk_bytes: number | null;
  base_path: string | null;
  /** Of a vdi: below its overlay; of an initial: what it boots from. */
  version_id: string | null;
  /** Of an initial: what populate uses. */
  current_version_id: string | null;
  kept_for_user_id: string | null;
  kept_until: number | null;
  populated_at: number | null;
  notes: string;
  created_at: number;
  updated_at: number;
}
export interface DesktopPoolRow {
  id: string;
  name: string;
  name_key: string;
  description: string;
  enabled: Flag;
  after_use: AfterUse;
  return_after_minutes: number;
  user_power: Flag;
  spares: number;
  /** JSON, PoolScheduleEntry[]. */
  schedule: string;
  /** JSON, DataDiskPolicy. */
  data_disk: string | null;
  created_at: number;
}
export interface DesktopPoolMachineRow {
  desktop_pool_id: string;
  machine_id: string;
}
export interface EntitlementRow {
  desktop_pool_id: string;
  user_id: string;
}
export interface LeaseRow {
  id: string;
  user_id: string | null;
  username: string;
  desktop_pool_id: string | null;
  desktop_pool_name: string;
  machine_id: string | null;
  machine_name: string;
  state: DesktopState;
  stage: z.infer<typeof DesktopStage>;
  error: string | null;
  terminal: string | null;
  explanation: string;
  /** JSON, PlacementReason[]. */
  reasons: string;
  /** JSON {message, endsAt}. */
  notice: string | null;
  started_at: number;
  ready_at: number | null;
  last_heartbeat_at: number;
  ended_at: number | null;
  end_reason: string | null;
}
export interface JobRow {
  id: string;
  kind: z.infer<typeof JobKind>;
  state: JobState;
  subject_id: string | null;
  subject_name: string;
  hypervisor_id: string | null;
  /** Of a step of a larger job. */
  parent_id: string | null;
  input: string;
  stage: string;
  done: number;
  total: number;
  unit: "bytes" | "items";
  error: string | null;
  items: string;
  cancellable: Flag;
  requested_by: string | null;
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
}
export interface AuditRow {
  id: Generated<number>;
  at: number;
  actor: string | null;
  address: string | null;
  action: string;
  subject_id: string | null;
  subject_name: string | null;
  outcome: "ok" | "refused" | "failed";
  detail: string | null;
}

export interface Schema {
  settings: SettingRow;
  users: UserRow;
  sessions: SessionRow;
  hypervisors: HypervisorRow;
  hypervisor_load: HypervisorLoadRow;
  machines: MachineRow;
  image_versions: ImageVersionRow;
  image_copies: ImageCopyRow;
  rollouts: RolloutRow;
  data_disks: DataDiskRow;
  uploads: UploadRow;
  desktop_pools: DesktopPoolRow;
  desktop_pool_machines: DesktopPoolMachineRow;
  entitlements: EntitlementRow;
  leases: LeaseRow;
  jobs: JobRow;
  audit: AuditRow;
}

/** What stores query: the database, or a transaction in it. */
export type Db = Kysely<Schema>;
