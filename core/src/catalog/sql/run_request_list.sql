SELECT started_by, number FROM wishes ORDER BY number
