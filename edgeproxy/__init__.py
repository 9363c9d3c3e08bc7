"""edgeproxy: a reverse proxy and shared HTTP cache for the edge."""

__version__ = "0.1.0"
