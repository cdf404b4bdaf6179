-- Hypervisors on other hosts, versions of images, uploads, personal data disks, schedules.

CREATE TABLE hypervisors_new (
  id                TEXT PRIMARY KEY,
  name              TEXT NOT NULL,
  name_key          TEXT NOT NULL UNIQUE,
  socket_path       TEXT NOT NULL,
  ssh_address       TEXT,  -- NULL: the socket is on this host
  ssh_port          INTEGER,
  ssh_username      TEXT,
  ssh_host_key      TEXT,  -- JSON {algorithm, key}: the only one that is accepted
  enrolled_at       INTEGER,
  maintenance       INTEGER NOT NULL DEFAULT 0 CHECK (maintenance IN (0, 1)),
  drain_mode        TEXT CHECK (drain_mode IN ('wait', 'end')),
  drain_since       INTEGER,
  drain_ends_at     INTEGER,
  default_network   TEXT,
  display_address   TEXT,
  memory_overcommit REAL NOT NULL DEFAULT 1,
  cpu_overcommit    REAL NOT NULL DEFAULT 8,
  max_running       INTEGER,
  max_starting      INTEGER NOT NULL DEFAULT 4,
  start_cpu_percent INTEGER NOT NULL DEFAULT 90,
  created_at        INTEGER NOT NULL
) STRICT;
INSERT INTO hypervisors_new (id, name, name_key, socket_path, maintenance, default_network, created_at)
  SELECT id, name, name_key, socket_path, maintenance, default_network, created_at FROM hypervisors;
DROP TABLE hypervisors;
ALTER TABLE hypervisors_new RENAME TO hypervisors;
CREATE UNIQUE INDEX hypervisors_one_per_socket ON hypervisors (socket_path) WHERE ssh_address IS NULL;
CREATE UNIQUE INDEX hypervisors_one_per_host ON hypervisors (ssh_address, ssh_port, socket_path) WHERE ssh_address IS NOT NULL;

-- One row a minute, later the mean of a quarter of an hour.
CREATE TABLE hypervisor_load (
  hypervisor_id   TEXT NOT NULL REFERENCES hypervisors (id) ON DELETE CASCADE,
  at              INTEGER NOT NULL,
  minutes         INTEGER NOT NULL DEFAULT 1,
  cpu_percent     REAL NOT NULL,
  memory_used_mib INTEGER NOT NULL,
  running         INTEGER NOT NULL,
  free_bytes      INTEGER NOT NULL,
  PRIMARY KEY (hypervisor_id, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE image_versions (
  id             TEXT PRIMARY KEY,
  initial_id     TEXT NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
  number         INTEGER NOT NULL,
  state          TEXT NOT NULL CHECK (state IN ('copying', 'draft', 'sealed', 'failed')),
  booted         INTEGER NOT NULL DEFAULT 0 CHECK (booted IN (0, 1)),
  pinned         INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
  sha256         TEXT,
  virtual_bytes  INTEGER NOT NULL DEFAULT 0,
  note           TEXT NOT NULL DEFAULT '',
  hypervisor_ids TEXT NOT NULL DEFAULT '[]',  -- JSON: where it shall be once it is sealed, besides where its clones are
  created_at     INTEGER NOT NULL,
  created_by     TEXT,
  sealed_at      INTEGER,
  published_at   INTEGER,
  UNIQUE (initial_id, number)
) STRICT;

-- A version's file on one hypervisor.
CREATE TABLE image_copies (
  version_id      TEXT NOT NULL REFERENCES image_versions (id) ON DELETE CASCADE,
  hypervisor_id   TEXT NOT NULL REFERENCES hypervisors (id),
  path            TEXT NOT NULL,
  state           TEXT NOT NULL CHECK (state IN ('copying', 'present', 'missing', 'failed')),
  error           TEXT,
  allocated_bytes INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (version_id, hypervisor_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_copies_by_hypervisor ON image_copies (hypervisor_id);

-- Moving an initial's clones to its current version; the row goes when all have moved.
CREATE TABLE rollouts (
  initial_id       TEXT PRIMARY KEY REFERENCES machines (id) ON DELETE CASCADE,
  version_id       TEXT NOT NULL REFERENCES image_versions (id) ON DELETE CASCADE,
  mode             TEXT NOT NULL CHECK (mode IN ('now', 'rolling')),
  message          TEXT,
  total            INTEGER NOT NULL,
  started_at       INTEGER NOT NULL,
  ends_sessions_at INTEGER
) STRICT;

ALTER TABLE machines ADD COLUMN version_id TEXT REFERENCES image_versions (id) ON DELETE SET NULL;  -- of a vdi: below its overlay; of an initial: what it boots from
ALTER TABLE machines ADD COLUMN current_version_id TEXT REFERENCES image_versions (id) ON DELETE SET NULL;  -- of an initial: what populate uses
ALTER TABLE machines ADD COLUMN kept_for_user_id TEXT REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE machines ADD COLUMN kept_until INTEGER;
CREATE INDEX machines_by_version ON machines (version_id) WHERE version_id IS NOT NULL;

INSERT INTO image_versions (id, initial_id, number, state, virtual_bytes, created_at, sealed_at, published_at)
  SELECT
    lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' ||
      substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
    id,
    -- .../golden-1a2b3c4d.v3.qcow2: what follows the last character that is no digit
    max(1, CAST(substr(replace(disk_path, '.qcow2', ''), length(rtrim(replace(disk_path, '.qcow2', ''), '0123456789')) + 1) AS INTEGER)),
    'sealed', coalesce(disk_bytes, 0), updated_at, updated_at, updated_at
  FROM machines WHERE role = 'initial' AND disk_path IS NOT NULL;
INSERT INTO image_copies (version_id, hypervisor_id, path, state)
  SELECT version.id, machine.hypervisor_id, machine.disk_path, 'present'
  FROM image_versions AS version JOIN machines AS machine ON machine.id = version.initial_id;
UPDATE machines SET version_id = version.id, current_version_id = version.id
  FROM image_versions AS version WHERE version.initial_id = machines.id;
UPDATE machines SET version_id = copy.version_id
  FROM image_copies AS copy WHERE machines.role = 'vdi' AND machines.base_path = copy.path;

CREATE TABLE data_disks (
  id            TEXT PRIMARY KEY,
  scope         TEXT NOT NULL CHECK (scope IN ('machine', 'user')),
  machine_id    TEXT REFERENCES machines (id) ON DELETE SET NULL,
  user_id       TEXT REFERENCES users (id) ON DELETE SET NULL,
  owner_name    TEXT NOT NULL,
  hypervisor_id TEXT NOT NULL REFERENCES hypervisors (id),
  path          TEXT NOT NULL,
  bytes         INTEGER NOT NULL,
  attached_to   TEXT REFERENCES machines (id) ON DELETE SET NULL,
  created_at    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX data_disks_one_per_machine ON data_disks (machine_id) WHERE scope = 'machine' AND machine_id IS NOT NULL;
CREATE UNIQUE INDEX data_disks_one_per_user ON data_disks (user_id) WHERE scope = 'user' AND user_id IS NOT NULL;
CREATE UNIQUE INDEX data_disks_one_attached ON data_disks (attached_to) WHERE attached_to IS NOT NULL;

CREATE TABLE uploads (
  id             TEXT PRIMARY KEY,
  hypervisor_id  TEXT NOT NULL REFERENCES hypervisors (id) ON DELETE CASCADE,
  file_name      TEXT NOT NULL,
  bytes          INTEGER NOT NULL,
  received_bytes INTEGER NOT NULL DEFAULT 0,
  state          TEXT NOT NULL CHECK (state IN ('receiving', 'done', 'failed')),
  error          TEXT,
  wanted_sha256  TEXT,
  sha256         TEXT,
  path           TEXT,
  format         TEXT,
  started_by     TEXT NOT NULL,
  started_at     INTEGER NOT NULL,
  changed_at     INTEGER NOT NULL
) STRICT;

ALTER TABLE desktop_pools ADD COLUMN spares INTEGER NOT NULL DEFAULT 0;
ALTER TABLE desktop_pools ADD COLUMN schedule TEXT NOT NULL DEFAULT '[]';  -- JSON, PoolScheduleEntry[]
ALTER TABLE desktop_pools ADD COLUMN data_disk TEXT;                       -- JSON, DataDiskPolicy

ALTER TABLE leases ADD COLUMN reasons TEXT NOT NULL DEFAULT '[]';  -- JSON, PlacementReason[]
ALTER TABLE leases ADD COLUMN notice TEXT;                         -- JSON {message, endsAt}
