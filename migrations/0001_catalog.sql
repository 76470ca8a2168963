-- The catalog: what was landed, what was published, and the one pointer that moves.
-- Written for SQLite and PostgreSQL alike. Times are milliseconds since the Unix epoch.

-- Numbers that are handed out once and never again, also to a process that died with one.
CREATE TABLE counters (
  name TEXT NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('generation', 0), ('run', 0), ('writer', 0);

CREATE TABLE partitions (
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  first_offset BIGINT NOT NULL,
  next_offset BIGINT NOT NULL,
  PRIMARY KEY (topic, partition),
  CHECK (first_offset <= next_offset)
);

CREATE TABLE segments (
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  start_offset BIGINT NOT NULL,
  end_offset BIGINT NOT NULL,
  path TEXT NOT NULL UNIQUE,
  row_count BIGINT NOT NULL,
  dead_count BIGINT NOT NULL,
  dead_path TEXT,
  bytes BIGINT NOT NULL,
  schema_fingerprint TEXT NOT NULL,
  first_timestamp_ms BIGINT,
  last_timestamp_ms BIGINT,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (topic, partition, start_offset),
  FOREIGN KEY (topic, partition) REFERENCES partitions (topic, partition),
  CHECK (start_offset < end_offset),
  CHECK (row_count >= 0 AND dead_count >= 0)
);

CREATE TABLE runs (
  id BIGINT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  started_by TEXT NOT NULL,
  state TEXT NOT NULL,
  view_names TEXT NOT NULL,
  cuts TEXT NOT NULL,
  started_ms BIGINT NOT NULL,
  finished_ms BIGINT,
  row_count BIGINT NOT NULL,
  segment_count BIGINT NOT NULL,
  generation BIGINT,
  error TEXT,
  owner TEXT NOT NULL,
  lease_until_ms BIGINT NOT NULL,
  CHECK (kind IN ('full', 'incremental')),
  CHECK (state IN ('running', 'published', 'failed', 'cancelled'))
);

CREATE INDEX runs_by_state ON runs (state);

CREATE TABLE generations (
  generation BIGINT NOT NULL PRIMARY KEY,
  run_id BIGINT NOT NULL REFERENCES runs (id),
  manifest_path TEXT NOT NULL UNIQUE,
  manifest TEXT NOT NULL,
  published_ms BIGINT NOT NULL,
  retired_ms BIGINT,
  CHECK (generation > 0)
);

-- One row for ever: the generation that is served, 0 before the first.
CREATE TABLE current_generation (
  id INTEGER NOT NULL PRIMARY KEY,
  generation BIGINT NOT NULL,
  CHECK (id = 1)
);

INSERT INTO current_generation (id, generation) VALUES (1, 0);

-- Objects that nothing refers to any more and that may be deleted once every reader is done with them.
CREATE TABLE garbage (
  path TEXT NOT NULL PRIMARY KEY,
  since_ms BIGINT NOT NULL
);

CREATE INDEX garbage_by_age ON garbage (since_ms);

-- A drift that is not a number is NULL.
CREATE TABLE drifts (
  run_id BIGINT NOT NULL REFERENCES runs (id),
  view_name TEXT NOT NULL,
  generation BIGINT NOT NULL,
  drift DOUBLE PRECISION,
  compared_rows BIGINT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (run_id, view_name)
);

CREATE TABLE streams (
  name TEXT NOT NULL PRIMARY KEY,
  topic TEXT NOT NULL,
  schema_fingerprint TEXT NOT NULL
);

CREATE TABLE views (
  name TEXT NOT NULL PRIMARY KEY,
  fingerprint TEXT NOT NULL,
  sql TEXT NOT NULL,
  created_ms BIGINT NOT NULL
);
