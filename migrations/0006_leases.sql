-- Several batch processes: one leads, and what is asked of one is known to all. Every time here is the database's.

-- Who does what only one is to do. Nothing that counts depends on it: what changes data compares and sets.
CREATE TABLE leases (
  name TEXT NOT NULL PRIMARY KEY,
  holder TEXT NOT NULL,
  until_ms BIGINT NOT NULL,
  -- Grows whenever the holder is another one, or had lost it in between.
  epoch BIGINT NOT NULL
);

-- The last moment at which each kind of run was due and was seen to: there is one schedule, whoever leads.
CREATE TABLE moments (
  kind TEXT NOT NULL PRIMARY KEY,
  moment_ms BIGINT NOT NULL,
  CHECK (kind IN ('full', 'incremental'))
);

-- Runs that were asked for, until one has covered them. Each reason is kept once; asking again gives a new number.
CREATE TABLE wishes (
  started_by TEXT NOT NULL PRIMARY KEY,
  number BIGINT NOT NULL
);

-- `basis` grows when segments are merged and when another generation becomes current, so that a run sees before it
-- starts that what it chose is no longer what there is.
INSERT INTO counters (name, value) VALUES ('wish', 0), ('basis', 0);

-- How far a run is and whether somebody wants it to end, for those who ask another process than the one that runs.
ALTER TABLE runs ADD COLUMN phase TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN row_total BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN segment_total BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN cancel_requested INTEGER NOT NULL DEFAULT 0;
