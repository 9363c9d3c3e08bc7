"""The one error of the benchmarks."""

from __future__ import annotations


class BenchmarkError(Exception):
    """A figure cannot be had, or cannot be trusted. The text says why."""
