-- What processes of their own need to know of one another.

-- Grows with every change to segments, generations, gaps and members, so that others see that there is something
-- to read. On PostgreSQL its row is also the lock that makes changes follow one another.
INSERT INTO counters (name, value) VALUES ('change', 0);

-- Processes of a layer that live: those whose lease has not passed. Which partitions each of them has is what it
-- says; what it may write is decided by `partitions.next_offset` alone.
CREATE TABLE members (
  id TEXT NOT NULL PRIMARY KEY,
  layer TEXT NOT NULL,
  address TEXT NOT NULL,
  owned TEXT NOT NULL,
  joined_ms BIGINT NOT NULL,
  lease_until_ms BIGINT NOT NULL,
  CHECK (layer IN ('ingest', 'batch', 'speed', 'serve'))
);

-- Offsets that the log had lost before they were landed.
CREATE TABLE gaps (
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  start_offset BIGINT NOT NULL,
  end_offset BIGINT NOT NULL,
  why TEXT NOT NULL,
  noted_ms BIGINT NOT NULL,
  PRIMARY KEY (topic, partition, start_offset),
  FOREIGN KEY (topic, partition) REFERENCES partitions (topic, partition),
  CHECK (start_offset < end_offset)
);
