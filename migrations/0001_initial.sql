-- Times are Unix milliseconds, ids are UUIDs, booleans 0 or 1. *_key columns hold the lower-case form for uniqueness.

CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE users (
  id               TEXT PRIMARY KEY,
  username         TEXT NOT NULL,
  username_key     TEXT NOT NULL UNIQUE,
  display_name     TEXT NOT NULL,
  role             TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'user')),
  password_hash    TEXT NOT NULL,
  disabled         INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
  failed_sign_ins  INTEGER NOT NULL DEFAULT 0,
  locked_until     INTEGER,
  last_sign_in_at  INTEGER,
  created_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
  token_hash TEXT PRIMARY KEY,
  user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  kind       TEXT NOT NULL CHECK (kind IN ('cookie', 'token')),
  address    TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE hypervisors (
  id              TEXT PRIMARY KEY,
  name            TEXT NOT NULL,
  name_key        TEXT NOT NULL UNIQUE,
  socket_path     TEXT NOT NULL UNIQUE,
  maintenance     INTEGER NOT NULL DEFAULT 0 CHECK (maintenance IN (0, 1)),
  default_network TEXT,
  created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE machines (
  id               TEXT PRIMARY KEY,
  name             TEXT NOT NULL,
  name_key         TEXT NOT NULL,
  role             TEXT NOT NULL CHECK (role IN ('simple', 'source', 'initial', 'vdi')),
  os_type          TEXT NOT NULL CHECK (os_type IN ('linux', 'windows')),
  hypervisor_id    TEXT NOT NULL REFERENCES hypervisors (id),
  source_id        TEXT REFERENCES machines (id),
  state            TEXT NOT NULL DEFAULT 'unknown',
  state_reason     TEXT,
  maintenance      INTEGER NOT NULL DEFAULT 0 CHECK (maintenance IN (0, 1)),
  locked           INTEGER NOT NULL DEFAULT 0 CHECK (locked IN (0, 1)),
  virtual_snapshot INTEGER NOT NULL DEFAULT 0 CHECK (virtual_snapshot IN (0, 1)),
  vcpus            INTEGER NOT NULL,
  memory_mib       INTEGER NOT NULL,
  mac              TEXT,
  network          TEXT NOT NULL,
  video            TEXT NOT NULL,
  iso              TEXT,
  disk_path        TEXT,  -- the image or overlay in the persistent definition
  disk_bytes       INTEGER,
  base_path        TEXT,  -- of a vdi: the image that its overlay is backed by
  populated_at     INTEGER,
  notes            TEXT NOT NULL DEFAULT '',
  created_at       INTEGER NOT NULL,
  updated_at       INTEGER NOT NULL,
  UNIQUE (hypervisor_id, name_key)
) STRICT;
CREATE INDEX machines_by_name ON machines (name_key);
CREATE INDEX machines_by_source ON machines (source_id);
CREATE INDEX machines_by_role_state ON machines (role, state);

CREATE TABLE desktop_pools (
  id                   TEXT PRIMARY KEY,
  name                 TEXT NOT NULL,
  name_key             TEXT NOT NULL UNIQUE,
  description          TEXT NOT NULL DEFAULT '',
  enabled              INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  after_use            TEXT NOT NULL CHECK (after_use IN ('keep', 'shutdown', 'reset')),
  return_after_minutes INTEGER NOT NULL,
  user_power           INTEGER NOT NULL DEFAULT 1 CHECK (user_power IN (0, 1)),
  created_at           INTEGER NOT NULL
) STRICT;

CREATE TABLE desktop_pool_machines (
  desktop_pool_id TEXT NOT NULL REFERENCES desktop_pools (id) ON DELETE CASCADE,
  machine_id      TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  PRIMARY KEY (desktop_pool_id, machine_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX desktop_pool_machines_by_machine ON desktop_pool_machines (machine_id);

CREATE TABLE entitlements (
  desktop_pool_id TEXT NOT NULL REFERENCES desktop_pools (id) ON DELETE CASCADE,
  user_id         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  PRIMARY KEY (desktop_pool_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX entitlements_by_user ON entitlements (user_id);

-- History is kept: names are copied, and a lease outlives its user, pool and machine.
CREATE TABLE leases (
  id                TEXT PRIMARY KEY,
  user_id           TEXT REFERENCES users (id) ON DELETE SET NULL,
  username          TEXT NOT NULL,
  desktop_pool_id   TEXT REFERENCES desktop_pools (id) ON DELETE SET NULL,
  desktop_pool_name TEXT NOT NULL,
  machine_id        TEXT REFERENCES machines (id) ON DELETE SET NULL,
  machine_name      TEXT NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ('preparing', 'ready', 'failed', 'ended')),
  stage             TEXT NOT NULL,
  error             TEXT,  -- JSON, ErrorInfo
  terminal          TEXT,
  explanation       TEXT NOT NULL DEFAULT '',
  started_at        INTEGER NOT NULL,
  ready_at          INTEGER,
  last_heartbeat_at INTEGER NOT NULL,
  ended_at          INTEGER,
  end_reason        TEXT
) STRICT;
-- The two promises of the broker, kept by the database itself.
CREATE UNIQUE INDEX leases_one_user_per_machine ON leases (machine_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX leases_one_machine_per_user ON leases (user_id, desktop_pool_id) WHERE ended_at IS NULL;
CREATE INDEX leases_by_start ON leases (started_at);
CREATE INDEX leases_by_machine ON leases (machine_id, ended_at);
CREATE INDEX leases_active ON leases (ended_at) WHERE ended_at IS NULL;

CREATE TABLE jobs (
  id            TEXT PRIMARY KEY,
  kind          TEXT NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'interrupted')),
  subject_id    TEXT,
  subject_name  TEXT NOT NULL,
  hypervisor_id TEXT,  -- set when an agent carries the job out, under the same id
  parent_id     TEXT,  -- of a step of a larger job: never listed by itself
  input         TEXT NOT NULL DEFAULT '{}',  -- JSON, what is needed to finish it after a restart
  stage         TEXT NOT NULL DEFAULT '',
  done          REAL NOT NULL DEFAULT 0,
  total         REAL NOT NULL DEFAULT 0,
  unit          TEXT NOT NULL DEFAULT 'items',
  error         TEXT,  -- JSON, ErrorInfo
  items         TEXT NOT NULL DEFAULT '[]',  -- JSON, JobItem[]
  cancellable   INTEGER NOT NULL DEFAULT 0,
  requested_by  TEXT,
  created_at    INTEGER NOT NULL,
  started_at    INTEGER,
  ended_at      INTEGER
) STRICT;
CREATE UNIQUE INDEX jobs_one_open_per_subject ON jobs (subject_id) WHERE state IN ('queued', 'running') AND subject_id IS NOT NULL;
CREATE INDEX jobs_by_creation ON jobs (created_at);
CREATE INDEX jobs_by_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_open ON jobs (state) WHERE state IN ('queued', 'running');

CREATE TABLE audit (
  id           INTEGER PRIMARY KEY,
  at           INTEGER NOT NULL,
  actor        TEXT,
  address      TEXT,
  action       TEXT NOT NULL,
  subject_id   TEXT,
  subject_name TEXT,
  outcome      TEXT NOT NULL CHECK (outcome IN ('ok', 'refused', 'failed')),
  detail       TEXT
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject_id);
CREATE INDEX audit_by_actor ON audit (actor);
