DELETE FROM members WHERE lease_until_ms <= $1
