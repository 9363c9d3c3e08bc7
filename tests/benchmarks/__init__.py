"""Benchmarks: every figure is a ratio against a peer, measured in one interleaved run.

``python -m tests.benchmarks`` runs all rows and writes docs/benchmarks.md and docs/benchmarks.json.
"""
