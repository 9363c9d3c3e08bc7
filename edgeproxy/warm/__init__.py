"""Filling a running node's cache: from a list, a sitemap or an access log."""
