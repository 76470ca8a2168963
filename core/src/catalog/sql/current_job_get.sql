SELECT job, previous, switched_ms FROM current_job WHERE id = 1
