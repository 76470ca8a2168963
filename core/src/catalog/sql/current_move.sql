UPDATE current_generation SET generation = $1 WHERE generation = $2
