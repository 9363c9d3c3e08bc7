"""Proof of work that browsers do by themselves, the clearance it earns, and the pages in between."""
