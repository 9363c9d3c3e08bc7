"""The way to Redis, which what nodes share goes through: the cache's L3, purges, limits."""
