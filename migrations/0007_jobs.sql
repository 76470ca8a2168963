-- Stream jobs: views that are folded from the log alone (Kappa).

-- A job and its lease. Its definition never changes: changed code is another job.
CREATE TABLE jobs (
  name TEXT NOT NULL PRIMARY KEY,
  -- The text of the pipeline.
  pipeline TEXT NOT NULL,
  -- The offset at which it begins in each partition, by topic: JSON. A partition that is not named begins at 0.
  starts TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  holder TEXT NOT NULL,
  address TEXT NOT NULL,
  until_ms BIGINT NOT NULL,
  -- Grows with every holder: a checkpoint of an earlier one is refused.
  epoch BIGINT NOT NULL
);

-- The states of a job up to the offsets in the manifest. Its number is from the counter of generations.
CREATE TABLE checkpoints (
  number BIGINT NOT NULL PRIMARY KEY,
  job TEXT NOT NULL,
  manifest_path TEXT NOT NULL,
  manifest TEXT NOT NULL,
  taken_ms BIGINT NOT NULL,
  FOREIGN KEY (job) REFERENCES jobs (name)
);

-- The one row names the job whose answers readers get, and the one before.
CREATE TABLE current_job (
  id INTEGER NOT NULL PRIMARY KEY,
  job TEXT,
  previous TEXT,
  switched_ms BIGINT NOT NULL,
  CHECK (id = 1)
);

INSERT INTO current_job (id, switched_ms) VALUES (1, 0);
