"""Image variants beside thumbor and ipx: CPU, bytes, likeness and memory for the same pictures, measured in one run.

``python -m tests.benchmarks.images`` sets the peers up, measures, and writes docs/images-benchmark.md and its rows of
docs/benchmarks.json.
"""
