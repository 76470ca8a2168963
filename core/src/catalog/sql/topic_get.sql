SELECT identity, noted_ms FROM topics WHERE topic = $1
