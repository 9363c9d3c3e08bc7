"""Certificates that renew themselves (ACME, RFC 8555): an account, orders, challenges, and when to renew."""
