UPDATE runs SET state = 'failed', error = 'its process died', finished_ms = $1 WHERE state = 'running'
