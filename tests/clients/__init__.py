"""Clients as people have them, each on the whole demo site in every protocol it speaks.

``python -m tests.clients`` runs them all and writes docs/clients.md.
"""
