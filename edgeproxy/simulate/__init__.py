"""Described attacks, played against a node on this machine."""
