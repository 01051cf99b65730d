"""Where effects happen: files, database and clock around the pure core."""
