"""The shared HTTP cache: policy (RFC 9111) as pure functions, keys, variants, collapsing, tiers."""
