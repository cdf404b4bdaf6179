/**
 * The dashboard's public HTTP API as one table: the server binds handlers to it and validates by it, /api/openapi.json
 * is made from it, and the web UI and the thin client call through it with full types.
 */
import { z } from "zod";
import { Id, ListQuery, pageOf } from "./common.ts";
import {
  Connection,
  ConnectionQuery,
  Desktop,
  GetDesktop,
  Heartbeat,
  Lease,
  LeaseQuery,
  PlacementReason,
  UserPowerRequest,
} from "./desktop.ts";
import {
  CreateDesktopPool,
  DesktopPool,
  DesktopPoolDetail,
  MyDesktopPool,
  PutEntitlements,
  PutMachines,
  UpdateDesktopPool,
} from "./desktop_pool.ts";
import {
  CreateHypervisor,
  EnrolCredentials,
  HostKey,
  Hypervisor,
  ImageFile,
  ImportableDomain,
  LoadPoint,
  LoadQuery,
  OwnKey,
  SshEndpoint,
  UpdateHypervisor,
} from "./hypervisor.ts";
import {
  CopyDisk,
  DeletionPlan,
  DistributeRequest,
  Image,
  ImageVersion,
  PublishRequest,
  UpdateVersion,
} from "./image.ts";
import { Job, JobQuery } from "./job.ts";
import {
  BulkRequest,
  CopyMachine,
  CreateMachine,
  Machine,
  MachineDisk,
  MachineQuery,
  MoveMachine,
  PowerRequest,
  PutDataDisk,
  ResizeDisk,
  UpdateMachine,
} from "./machine.ts";
import {
  CreateUpload,
  DataDisk,
  DeletedFiles,
  DeleteFiles,
  FinishUpload,
  StorageReport,
  Upload,
} from "./storage.ts";
import { AuditEntry, AuditQuery, Overview, SearchHit, Settings, UpdateSettings } from "./settings.ts";
import {
  ChangePassword,
  CreateUser,
  Group,
  Session,
  Setup,
  SetupState,
  SignIn,
  UpdateUser,
  User,
  UserQuery,
} from "./user.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
/** Who may call: anybody, anybody signed in, or a role of at least this rank (user < operator < admin). */
export type Access = "public" | "user" | "operator" | "admin";

export interface Endpoint<
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Result extends z.ZodType = z.ZodType,
> {
  method: Method;
  /** Hono path; `:id` parameters are UUIDs. */
  path: string;
  access: Access;
  tag: string;
  summary: string;
  /** Status of success. 202: a job goes on; its URL is in `Location`. 204: no body. */
  status: 200 | 201 | 202 | 204;
  query: Query;
  body: Body;
  result: Result;
}

type Parts<Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType> = {
  access: Access;
  tag: string;
  summary: string;
  status?: 200 | 201 | 202 | 204;
  query?: Q;
  body?: B;
  result?: R;
};

function endpoint<
  Q extends z.ZodType = z.ZodUndefined,
  B extends z.ZodType = z.ZodUndefined,
  R extends z.ZodType = z.ZodUndefined,
>(
  method: Method,
  path: string,
  parts: Parts<Q, B, R>,
): Endpoint<Q, B, R> {
  const none = z.undefined();
  return {
    method,
    path,
    access: parts.access,
    tag: parts.tag,
    summary: parts.summary,
    status: parts.status ?? (parts.result ? 200 : 204),
    query: (parts.query ?? none) as Q,
    body: (parts.body ?? none) as B,
    result: (parts.result ?? none) as R,
  };
}

const withJob = z.object({ job: Job });

export const api = {
  // sign-in and setup
  getSetup: endpoint("GET", "/api/setup", {
    access: "public",
    tag: "session",
    summary: "Whether the first admin must still be made",
    result: SetupState,
  }),
  setup: endpoint("POST", "/api/setup", {
    access: "public",
    tag: "session",
    summary: "Make the first admin with the one-time setup link",
    status: 201,
    body: Setup,
    result: Session,
  }),
  signIn: endpoint("POST", "/api/session", {
    access: "public",
    tag: "session",
    summary: "Sign in",
    body: SignIn,
    result: Session,
  }),
  getSession: endpoint("GET", "/api/session", {
    access: "user",
    tag: "session",
    summary: "Who is signed in",
    result: Session,
  }),
  signOut: endpoint("DELETE", "/api/session", { access: "user", tag: "session", summary: "Sign out" }),
  changePassword: endpoint("POST", "/api/session/password", {
    access: "user",
    tag: "session",
    summary: "Change the own password; ends the other sessions",
    body: ChangePassword,
  }),

  // hypervisors
  listHypervisors: endpoint("GET", "/api/hypervisors", {
    access: "operator",
    tag: "hypervisors",
    summary: "List hypervisors",
    query: ListQuery,
    result: pageOf(Hypervisor),
  }),
  createHypervisor: endpoint("POST", "/api/hypervisors", {
    access: "admin",
    tag: "hypervisors",
    summary:
      "Add a hypervisor: this host's agent, or another host over SSH, where the agent can be installed first",
    status: 201,
    body: CreateHypervisor,
    result: z.object({ hypervisor: Hypervisor, job: Job.nullable() }),
  }),
  readHostKey: endpoint("POST", "/api/hypervisors/host-key", {
    access: "admin",
    tag: "hypervisors",
    summary: "Ask a host for its SSH key, to be compared and confirmed before it is added",
    body: SshEndpoint,
    result: z.object({ hostKey: HostKey }),
  }),
  listOwnKeys: endpoint("GET", "/api/ssh-keys", {
    access: "admin",
    tag: "hypervisors",
    summary: "The dashboard's own public SSH keys, for authorized_keys",
    result: z.object({ items: z.array(OwnKey) }),
  }),
  createOwnKey: endpoint("POST", "/api/ssh-keys", {
    access: "admin",
    tag: "hypervisors",
    summary: "Make a key of another kind too, for hosts that do not take ed25519",
    status: 201,
    body: z.object({ algorithm: OwnKey.shape.algorithm }),
    result: z.object({ key: OwnKey }),
  }),
  enrolHypervisor: endpoint("POST", "/api/hypervisors/:id/enrol", {
    access: "admin",
    tag: "hypervisors",
    summary: "Install the agent on the host, or repair it",
    status: 202,
    body: EnrolCredentials,
    result: withJob,
  }),
  updateAgents: endpoint("POST", "/api/hypervisors/update-agents", {
    access: "admin",
    tag: "hypervisors",
    summary: "Give outdated agents the dashboard's own executable, one after another; guests go on",
    status: 202,
    body: z.object({ hypervisorIds: z.array(Id).min(1).max(500).optional() }).optional(),
    result: withJob,
  }),
  getHypervisorLoad: endpoint("GET", "/api/hypervisors/:id/load", {
    access: "operator",
    tag: "hypervisors",
    summary: "How busy a hypervisor was",
    query: LoadQuery,
    result: z.object({ points: z.array(LoadPoint) }),
  }),
  getStorage: endpoint("GET", "/api/hypervisors/:id/storage", {
    access: "operator",
    tag: "storage",
    summary: "Every file in the agent's directories: whose it is, what it takes, and whether it can go",
    result: StorageReport,
  }),
  deleteFiles: endpoint("POST", "/api/hypervisors/:id/files/delete", {
    access: "admin",
    tag: "storage",
    summary: "Delete files that nothing uses",
    body: DeleteFiles,
    result: DeletedFiles,
  }),
  listUploads: endpoint("GET", "/api/uploads", {
    access: "operator",
    tag: "storage",
    summary: "Uploads that are under way or have ended lately",
    result: z.object({ items: z.array(Upload) }),
  }),
  createUpload: endpoint("POST", "/api/uploads", {
    access: "admin",
    tag: "storage",
    summary: "Begin an upload of an ISO or a disk image; its bytes follow with PATCH /api/uploads/:id",
    status: 201,
    body: CreateUpload,
    result: z.object({ upload: Upload }),
  }),
  getUpload: endpoint("GET", "/api/uploads/:id", {
    access: "operator",
    tag: "storage",
    summary: "How far an upload is: where to go on",
    result: z.object({ upload: Upload }),
  }),
  finishUpload: endpoint("POST", "/api/uploads/:id/finish", {
    access: "admin",
    tag: "storage",
    summary: "All bytes are there: check them and put the file in its place",
    body: FinishUpload,
    result: z.object({ upload: Upload }),
  }),
  cancelUpload: endpoint("DELETE", "/api/uploads/:id", {
    access: "admin",
    tag: "storage",
    summary: "Give an upload up and remove what has arrived",
  }),
  listDataDisks: endpoint("GET", "/api/data-disks", {
    access: "operator",
    tag: "storage",
    summary: "Personal data disks of users and machines",
    query: ListQuery.extend({ userId: Id.optional(), hypervisorId: Id.optional() }),
    result: pageOf(DataDisk),
  }),
  deleteDataDisk: endpoint("DELETE", "/api/data-disks/:id", {
    access: "admin",
    tag: "storage",
    summary: "Delete a personal data disk with everything on it",
  }),

  // images
  listImages: endpoint("GET", "/api/images", {
    access: "operator",
    tag: "images",
    summary: "Initials with their versions",
    query: ListQuery,
    result: pageOf(Image),
  }),
  getImage: endpoint("GET", "/api/images/:id", {
    access: "operator",
    tag: "images",
    summary: "One initial with its versions, its rollout and what is to be done next",
    result: z.object({ image: Image }),
  }),
  cancelRollout: endpoint("DELETE", "/api/images/:id/rollout", {
    access: "operator",
    tag: "images",
    summary: "Leave the clones that have not moved yet where they are",
    result: z.object({ image: Image }),
  }),
  updateVersion: endpoint("PATCH", "/api/image-versions/:id", {
    access: "operator",
    tag: "images",
    summary: "Change a version's note, or keep it whatever the policy says",
    body: UpdateVersion,
    result: z.object({ version: ImageVersion }),
  }),
  deleteVersion: endpoint("DELETE", "/api/image-versions/:id", {
    access: "operator",
    tag: "images",
    summary: "Delete a version that nothing uses, on every hypervisor",
    status: 202,
    result: withJob,
  }),
  sealVersion: endpoint("POST", "/api/image-versions/:id/seal", {
    access: "operator",
    tag: "images",
    summary: "Make a draft final: checksum, read-only, copied to every hypervisor that needs it",
    status: 202,
    result: withJob,
  }),
  unsealVersion: endpoint("DELETE", "/api/image-versions/:id/seal", {
    access: "operator",
    tag: "images",
    summary: "Make a sealed version that was never used a draft again",
    result: z.object({ version: ImageVersion }),
  }),
  publishVersion: endpoint("POST", "/api/image-versions/:id/publish", {
    access: "operator",
    tag: "images",
    summary:
      "Make a version current and move the clones to it: at once, or as their users leave. Also the way back",
    status: 202,
    body: PublishRequest.optional(),
    result: withJob,
  }),
  distributeVersion: endpoint("POST", "/api/image-versions/:id/distribute", {
    access: "operator",
    tag: "images",
    summary: "Copy a sealed version to further hypervisors",
    status: 202,
    body: DistributeRequest,
    result: withJob,
  }),
  getHypervisor: endpoint("GET", "/api/hypervisors/:id", {
    access: "operator",
    tag: "hypervisors",
    summary: "One hypervisor",
    result: z.object({ hypervisor: Hypervisor }),
  }),
  updateHypervisor: endpoint("PATCH", "/api/hypervisors/:id", {
    access: "admin",
    tag: "hypervisors",
    summary: "Change name, maintenance or default network",
    body: UpdateHypervisor,
    result: z.object({ hypervisor: Hypervisor }),
  }),
  deleteHypervisor: endpoint("DELETE", "/api/hypervisors/:id", {
    access: "admin",
    tag: "hypervisors",
    summary: "Forget a hypervisor that has no machines",
  }),
  listImageFiles: endpoint("GET", "/api/hypervisors/:id/image-files", {
    access: "operator",
    tag: "hypervisors",
    summary: "ISO and disk images on a hypervisor",
    result: z.object({ items: z.array(ImageFile) }),
  }),
  listImportableDomains: endpoint("GET", "/api/hypervisors/:id/domains", {
    access: "operator",
    tag: "hypervisors",
    summary: "libvirt domains that are not managed yet",
    result: z.object({ items: z.array(ImportableDomain) }),
  }),

  // machines
  listMachines: endpoint("GET", "/api/machines", {
    access: "operator",
    tag: "machines",
    summary: "List machines",
    query: MachineQuery,
    result: pageOf(Machine),
  }),
  createMachines: endpoint("POST", "/api/machines", {
    access: "operator",
    tag: "machines",
    summary: "Create one machine or several",
    status: 202,
    body: CreateMachine,
    result: z.object({ job: Job, machines: z.array(Machine) }),
  }),
  bulkMachines: endpoint("POST", "/api/machines/bulk", {
    access: "operator",
    tag: "machines",
    summary: "Do one thing to many machines",
    status: 202,
    body: BulkRequest,
    result: withJob,
  }),
  getMachine: endpoint("GET", "/api/machines/:id", {
    access: "operator",
    tag: "machines",
    summary: "One machine",
    result: z.object({ machine: Machine }),
  }),
  updateMachine: endpoint("PATCH", "/api/machines/:id", {
    access: "operator",
    tag: "machines",
    summary: "Change a machine",
    body: UpdateMachine,
    result: z.object({ machine: Machine }),
  }),
  deleteMachine: endpoint("DELETE", "/api/machines/:id", {
    access: "operator",
    tag: "machines",
    summary: "Delete a machine and its disks",
    status: 202,
    query: z.object({
      keepDisks: z.enum(["true", "false"]).default("false"),
      cascade: z.enum(["true", "false"]).default("false").describe(
        "of an initial: also its clones; see the deletion plan first",
      ),
    }),
    result: withJob,
  }),
  planDeletion: endpoint("GET", "/api/machines/:id/deletion", {
    access: "operator",
    tag: "machines",
    summary: "What would go with a machine",
    result: z.object({ plan: DeletionPlan }),
  }),
  moveMachine: endpoint("POST", "/api/machines/:id/move", {
    access: "operator",
    tag: "machines",
    summary: "Move a machine that is shut off to another hypervisor, with its disks",
    status: 202,
    body: MoveMachine,
    result: withJob,
  }),
  copyMachine: endpoint("POST", "/api/machines/:id/copy", {
    access: "operator",
    tag: "machines",
    summary: "Make a second machine like it, here or on another hypervisor",
    status: 202,
    body: CopyMachine,
    result: z.object({ job: Job, machine: Machine }),
  }),
  flattenMachine: endpoint("POST", "/api/machines/:id/flatten", {
    access: "operator",
    tag: "machines",
    summary: "Make a vdi a stand-alone machine with a disk of its own",
    status: 202,
    result: withJob,
  }),
  resizeDisk: endpoint("POST", "/api/machines/:id/resize-disk", {
    access: "operator",
    tag: "machines",
    summary: "Make a machine's disk larger",
    status: 202,
    body: ResizeDisk,
    result: withJob,
  }),
  putDataDisk: endpoint("PUT", "/api/machines/:id/data-disk", {
    access: "operator",
    tag: "machines",
    summary: "Give a vdi a disk for personal files, or make it larger",
    body: PutDataDisk,
    result: z.object({ machine: Machine }),
  }),
  powerMachine: endpoint("POST", "/api/machines/:id/power", {
    access: "operator",
    tag: "machines",
    summary: "Start, shut down, reboot, destroy, suspend or resume",
    body: PowerRequest,
    result: z.object({ machine: Machine }),
  }),
  releaseMachine: endpoint("POST", "/api/machines/:id/release", {
    access: "operator",
    tag: "machines",
    summary:
      "Let go of a machine that is kept for the user who lost it (keptFor): it is returned by its pool's policy",
    result: z.object({ machine: Machine }),
  }),
  copyDisk: endpoint("POST", "/api/machines/:id/copy-disk", {
    access: "operator",
    tag: "images",
    summary: "Copy the source's disk to a new version of this initial's image",
    status: 202,
    body: CopyDisk.optional(),
    result: withJob,
  }),
  populate: endpoint("POST", "/api/machines/:id/populate", {
    access: "operator",
    tag: "images",
    summary: "Recreate the overlays of this initial's vdi machines, or of the one vdi",
    status: 202,
    body: z.object({ machineIds: z.array(Id).max(2000).optional() }).optional(),
    result: withJob,
  }),
  openConsole: endpoint("POST", "/api/machines/:id/console", {
    access: "operator",
    tag: "machines",
    summary: "A one-time ticket for the machine's display",
    query: ConnectionQuery,
    result: Connection,
  }),
  kickViewers: endpoint("DELETE", "/api/machines/:id/console", {
    access: "operator",
    tag: "machines",
    summary: "Close every display connection of the machine",
  }),
  getMachineDisks: endpoint("GET", "/api/machines/:id/disks", {
    access: "operator",
    tag: "machines",
    summary: "Disks and their chains",
    result: z.object({ items: z.array(MachineDisk) }),
  }),

  // desktop pools
  listDesktopPools: endpoint("GET", "/api/desktop-pools", {
    access: "operator",
    tag: "desktop pools",
    summary: "List desktop pools",
    query: ListQuery,
    result: pageOf(DesktopPool),
  }),
  createDesktopPool: endpoint("POST", "/api/desktop-pools", {
    access: "operator",
    tag: "desktop pools",
    summary: "Create a desktop pool",
    status: 201,
    body: CreateDesktopPool,
    result: z.object({ desktopPool: DesktopPoolDetail }),
  }),
  getDesktopPool: endpoint("GET", "/api/desktop-pools/:id", {
    access: "operator",
    tag: "desktop pools",
    summary: "One desktop pool with members and entitlements",
    result: z.object({ desktopPool: DesktopPoolDetail }),
  }),
  updateDesktopPool: endpoint("PATCH", "/api/desktop-pools/:id", {
    access: "operator",
    tag: "desktop pools",
    summary: "Change name, description or policy",
    body: UpdateDesktopPool,
    result: z.object({ desktopPool: DesktopPoolDetail }),
  }),
  deleteDesktopPool: endpoint("DELETE", "/api/desktop-pools/:id", {
    access: "operator",
    tag: "desktop pools",
    summary: "Delete a desktop pool; its machines stay",
  }),
  putPoolMachines: endpoint("PUT", "/api/desktop-pools/:id/machines", {
    access: "operator",
    tag: "desktop pools",
    summary: "Set the members",
    body: PutMachines,
    result: z.object({ desktopPool: DesktopPoolDetail }),
  }),
  putEntitlements: endpoint("PUT", "/api/desktop-pools/:id/entitlements", {
    access: "operator",
    tag: "desktop pools",
    summary: "Set who may use it",
    body: PutEntitlements,
    result: z.object({ desktopPool: DesktopPoolDetail }),
  }),
  explainAllocation: endpoint("GET", "/api/desktop-pools/:id/explain", {
    access: "operator",
    tag: "desktop pools",
    summary: "Run the broker dry: which machine a user would get, or why none",
    query: z.object({ userId: Id }),
    result: z.object({
      machineId: Id.nullable(),
      explanation: z.string(),
      reasons: z.array(PlacementReason).describe("how every member stands, the chosen one first"),
    }),
  }),

  // users
  listUsers: endpoint("GET", "/api/users", {
    access: "operator",
    tag: "users",
    summary: "List users",
    query: UserQuery,
    result: pageOf(User),
  }),
  createUser: endpoint("POST", "/api/users", {
    access: "admin",
    tag: "users",
    summary: "Create a local user",
    status: 201,
    body: CreateUser,
    result: z.object({ user: User }),
  }),
  getUser: endpoint("GET", "/api/users/:id", {
    access: "operator",
    tag: "users",
    summary: "One user",
    result: z.object({ user: User }),
  }),
  updateUser: endpoint("PATCH", "/api/users/:id", {
    access: "admin",
    tag: "users",
    summary: "Change a user, set a password, unlock",
    body: UpdateUser,
    result: z.object({ user: User }),
  }),
  deleteUser: endpoint("DELETE", "/api/users/:id", {
    access: "admin",
    tag: "users",
    summary: "Delete a user; ends the user's leases",
  }),
  listGroups: endpoint("GET", "/api/groups", {
    access: "operator",
    tag: "users",
    summary: "List directory groups",
    query: ListQuery,
    result: pageOf(Group),
  }),

  // jobs, leases, audit, settings
  listJobs: endpoint("GET", "/api/jobs", {
    access: "operator",
    tag: "jobs",
    summary: "List jobs, newest first",
    query: JobQuery,
    result: pageOf(Job),
  }),
  getJob: endpoint("GET", "/api/jobs/:id", {
    access: "operator",
    tag: "jobs",
    summary: "One job",
    result: withJob,
  }),
  cancelJob: endpoint("DELETE", "/api/jobs/:id", {
    access: "operator",
    tag: "jobs",
    summary: "Cancel a job",
    status: 202,
    result: withJob,
  }),
  listLeases: endpoint("GET", "/api/leases", {
    access: "operator",
    tag: "leases",
    summary: "Who uses which desktop",
    query: LeaseQuery,
    result: pageOf(Lease),
  }),
  endLease: endpoint("DELETE", "/api/leases/:id", {
    access: "operator",
    tag: "leases",
    summary: "End a lease; the pool's policy decides what becomes of the machine",
  }),
  listAudit: endpoint("GET", "/api/audit", {
    access: "admin",
    tag: "audit",
    summary: "Who did what, newest first",
    query: AuditQuery,
    result: pageOf(AuditEntry),
  }),
  getSettings: endpoint("GET", "/api/settings", {
    access: "admin",
    tag: "settings",
    summary: "Settings",
    result: z.object({ settings: Settings }),
  }),
  updateSettings: endpoint("PATCH", "/api/settings", {
    access: "admin",
    tag: "settings",
    summary: "Change settings",
    body: UpdateSettings,
    result: z.object({ settings: Settings }),
  }),
  getOverview: endpoint("GET", "/api/overview", {
    access: "operator",
    tag: "overview",
    summary: "Counts and warnings",
    result: z.object({ overview: Overview }),
  }),
  search: endpoint("GET", "/api/search", {
    access: "operator",
    tag: "overview",
    summary: "Search over names, users, MACs and addresses",
    query: z.object({ q: z.string().min(1).max(200) }),
    result: z.object({ items: z.array(SearchHit) }),
  }),

  // the user's own desktops
  listMyDesktopPools: endpoint("GET", "/api/my/desktop-pools", {
    access: "user",
    tag: "my desktops",
    summary: "The desktop pools the user may use",
    result: z.object({ items: z.array(MyDesktopPool) }),
  }),
  listMyDesktops: endpoint("GET", "/api/my/desktops", {
    access: "user",
    tag: "my desktops",
    summary: "The desktops the user holds",
    result: z.object({ items: z.array(Desktop) }),
  }),
  getDesktop: endpoint("POST", "/api/my/desktops", {
    access: "user",
    tag: "my desktops",
    summary: "Get a desktop: the user's own again, else a free one",
    status: 201,
    body: GetDesktop,
    result: z.object({ desktop: Desktop }),
  }),
  getMyDesktop: endpoint("GET", "/api/my/desktops/:id", {
    access: "user",
    tag: "my desktops",
    summary: "One of the user's desktops",
    result: z.object({ desktop: Desktop }),
  }),
  endMyDesktop: endpoint("DELETE", "/api/my/desktops/:id", {
    access: "user",
    tag: "my desktops",
    summary: "Give the desktop back",
  }),
  connectMyDesktop: endpoint("GET", "/api/my/desktops/:id/connection", {
    access: "user",
    tag: "my desktops",
    summary: "A one-time ticket for the desktop's display",
    query: ConnectionQuery,
    result: Connection,
  }),
  heartbeat: endpoint("POST", "/api/my/desktops/:id/heartbeat", {
    access: "user",
    tag: "my desktops",
    summary: "The desktop is still in use",
    result: Heartbeat,
  }),
  powerMyDesktop: endpoint("POST", "/api/my/desktops/:id/power", {
    access: "user",
    tag: "my desktops",
    summary: "Shut down, reboot or destroy the own desktop",
    body: UserPowerRequest,
    result: z.object({ desktop: Desktop }),
  }),
} as const;

export type Api = typeof api;
export type EndpointName = keyof Api;
export type QueryOf<N extends EndpointName> = z.input<Api[N]["query"]>;
export type BodyOf<N extends EndpointName> = z.input<Api[N]["body"]>;
export type ResultOf<N extends EndpointName> = z.output<Api[N]["result"]>;

/** Outside the table: not JSON, or not for programs. */
export const plainPaths = {
  events: "/api/events",
  openApi: "/api/openapi.json",
  docs: "/api/docs",
  health: "/healthz",
  metrics: "/metrics",
  screenshot: (machineId: string) => `/api/machines/${machineId}/screenshot`,
  xml: (machineId: string) => `/api/machines/${machineId}/xml`,
  /** PATCH with the header `Upload-Offset`, at most `uploadPieceBytes` a request; answers {upload}. */
  uploadPiece: (uploadId: string) => `/api/uploads/${uploadId}`,
  /** GET a file of the image or ISO directory; ranges work. */
  download: (hypervisorId: string, path: string) =>
    `/api/hypervisors/${hypervisorId}/files?path=${encodeURIComponent(path)}`,
  certificate: "/ca.pem",
} as const;
