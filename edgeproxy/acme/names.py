"""The names that listeners want certificates for."""

from __future__ import annotations

from edgeproxy.config.schema import Config


def listed(config: Config) -> tuple[str, ...]:
    """Each once, in the order of the configuration."""
    return tuple(dict.fromkeys(name for one in config.listeners if one.tls is not None for name in one.tls.acme))
