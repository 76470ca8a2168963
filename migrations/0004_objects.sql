-- The ledger of objects: what the store holds is known from here, never from a listing, a name or an age.

-- A row is there before its object is, and goes after it.
--   staged    somebody is about to put it, or has, and will record it
--   live      a segment or a kept generation names it
--   garbage   nothing names it since `since_ms`; readers may still be at it
--   deleting  it is being deleted, and can never be recorded any more
--   deleted   it was deleted without ever having been recorded: its writer may still put it, so it is deleted once more
CREATE TABLE objects (
  path TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL,
  -- Since when it is in this state, by the database's clock.
  since_ms BIGINT NOT NULL,
  -- When it became live.
  recorded_ms BIGINT,
  -- The run that writes it: once that has ended, nobody can record it.
  run_id BIGINT,
  bytes BIGINT,
  CHECK (state IN ('staged', 'live', 'garbage', 'deleting', 'deleted'))
);

CREATE INDEX objects_by_state ON objects (state, since_ms);

INSERT INTO objects (path, state, since_ms, recorded_ms, bytes)
SELECT path, 'live', created_ms, created_ms, bytes FROM segments;

INSERT INTO objects (path, state, since_ms, recorded_ms)
SELECT dead_path, 'live', created_ms, created_ms FROM segments WHERE dead_path IS NOT NULL;

INSERT INTO objects (path, state, since_ms, recorded_ms)
SELECT manifest_path, 'live', published_ms, published_ms FROM generations WHERE retired_ms IS NULL;

INSERT INTO objects (path, state, since_ms)
SELECT path, 'garbage', since_ms FROM garbage WHERE TRUE
ON CONFLICT (path) DO NOTHING;

DROP TABLE garbage;

-- What an earlier version left: the states that manifests name, and objects that no row knows. Each is put in once,
-- by the program. A catalog that never gave out a number has neither.
INSERT INTO counters (name, value)
SELECT 'states_known', CASE WHEN MAX(value) = 0 THEN 1 ELSE 0 END FROM counters WHERE name IN ('generation', 'writer');

INSERT INTO counters (name, value)
SELECT 'store_listed', CASE WHEN MAX(value) = 0 THEN 1 ELSE 0 END FROM counters WHERE name IN ('generation', 'writer');
