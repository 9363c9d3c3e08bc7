"""Limits: what is counted by, how it is counted, and where: in a worker, on a node, in a region."""
