"""Addresses of bad repute: lists that others publish, read, kept and refreshed."""
