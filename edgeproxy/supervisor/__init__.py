"""The processes of a node: a supervisor that owns sockets and configuration, and its workers."""

from __future__ import annotations

import asyncio


def run(path: str) -> int:
    """Run the proxy with the configuration file at ``path`` until it is told to stop; returns the exit status."""
    from edgeproxy.observe import error_log
    from edgeproxy.supervisor.supervisor import Supervisor

    error_log.configure("info", "edgeproxy")
    return asyncio.run(Supervisor(path).run())
