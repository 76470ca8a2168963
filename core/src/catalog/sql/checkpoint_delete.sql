DELETE FROM checkpoints WHERE number = $1
