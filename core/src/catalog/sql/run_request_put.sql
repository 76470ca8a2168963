INSERT INTO wishes (started_by, number) VALUES ($1, $2)
ON CONFLICT (started_by) DO UPDATE SET number = excluded.number
