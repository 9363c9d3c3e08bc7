"""Configuration: the schema, loading with exact error places, compiling to a snapshot, watching files."""
