"""Which member of a pool takes the next request. Pure: no I/O, and time is given."""
