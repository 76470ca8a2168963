DELETE FROM runs WHERE id <= (SELECT max(id) FROM runs) - $1 AND state <> 'running'
AND id NOT IN (SELECT run_id FROM generations) AND id NOT IN (SELECT run_id FROM drifts)
