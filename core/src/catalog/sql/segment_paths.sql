SELECT path FROM segments UNION ALL SELECT dead_path FROM segments WHERE dead_path IS NOT NULL
