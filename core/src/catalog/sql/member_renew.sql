UPDATE members SET owned = $2, lease_until_ms = $3 WHERE id = $1
