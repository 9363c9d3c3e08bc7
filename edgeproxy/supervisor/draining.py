"""Endpoints an operator has drained: told to every worker, and kept in a file of the node's folder, so that workers
started later, and pools made anew by a reload, know of them. A restart of the node forgets them: what is to last stands
in the configuration."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from edgeproxy.supervisor.process import WorkerProcess

    Ask = Callable[..., Awaitable[list[tuple[WorkerProcess, Any]]]]

MOST = 10_000  # endpoints drained at once
_FILE = "drained"
_WANTED = 'wanted: {"pool": "name", "endpoint": "host:port"}, as /pools shows them'


class Drainable(Protocol):
    """A pool."""

    def drain(self, address: str, *, undo: bool = False) -> bool:
        """Give the endpoint no new requests, or some again; whether there is one at that address."""


class Draining:
    """``ask`` asks all workers for something, by name and with arguments."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._drained: set[tuple[str, str]] = set()

    async def order(self, folder: Path, pool: str, endpoint: str, *, undo: bool) -> list[str]:
        """Drain an endpoint, or have it used again; what went wrong. Raises ValueError if there is none."""
        named = (pool, endpoint)
        if not undo and named not in self._drained and len(self._drained) >= MOST:
            raise ValueError(f"{MOST} endpoints are drained already")
        answers = await self._ask("drained", pool=pool, endpoint=endpoint, undo=undo)
        errors = [f"worker {worker.pid}: {said}" for worker, said in answers if isinstance(said, BaseException)]
        if not any(said is True for _, said in answers) and not errors:
            await self._ask("drained", pool=pool, endpoint=endpoint, undo=True)
            raise ValueError(f"pool {pool!r} has no endpoint {endpoint!r}; /pools shows them")
        (self._drained.discard if undo else self._drained.add)(named)
        (folder / _FILE).write_text(json.dumps(sorted(self._drained)), encoding="utf-8")
        return errors

    def __repr__(self) -> str:
        return f"<Draining {len(self._drained)} endpoints>"


def drain_again(folder: Path, pools: Mapping[str, Drainable]) -> None:
    """Have pools know of what is drained."""
    try:
        text = (folder / _FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    for pool, endpoint in json.loads(text):
        if pool in pools:
            pools[pool].drain(endpoint)


def endpoint_of(order: dict[str, Any]) -> tuple[str, str]:
    """The pool and the endpoint that an order names. Raises ValueError with what is wrong."""
    pool, endpoint = order.get("pool"), order.get("endpoint")
    if set(order) != {"pool", "endpoint"} or not isinstance(pool, str) or not isinstance(endpoint, str):
        raise ValueError(_WANTED)
    return pool, endpoint
