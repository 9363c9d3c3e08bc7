"""Proxies in front of origins that fail: how many requests they lose, and how long the others take."""
