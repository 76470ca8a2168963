DELETE FROM generations WHERE retired_ms IS NOT NULL AND run_id <= (SELECT max(id) FROM runs) - $1
