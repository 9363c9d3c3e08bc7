"""The public HTTP cache test suite, run through the proxy: ``python -m tests.conformance``."""
