"""What ``GET /stats`` answers: one JSON value with all that the live page and ``edgeproxy cache top`` show."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from edgeproxy import __version__
from edgeproxy.observe.metrics import Dump
from edgeproxy.observe.top import Row, merged
from edgeproxy.supervisor.history import History

_SUMMED = ("in_flight", "idle", "requests", "failures")


def stats(
    health: dict[str, Any],
    history: History,
    dump: Dump,
    tops: Sequence[tuple[float, Iterable[Sequence[Any]]]],
    pools: Iterable[dict[str, Any]],
) -> dict[str, Any]:
    """``tops`` and ``pools`` are what the workers answered, those that did."""
    return {
        "version": __version__,
        "time": time.time(),
        "health": health,
        **history.stats(time.monotonic(), dump),
        "top": {
            "seconds": max((seconds for seconds, _ in tops), default=0.0),
            "urls": [
                dict(zip(("url", "requests", "hits", "bytes"), row, strict=True))
                for row in merged([map(_row, rows) for _, rows in tops])
            ],
        },
        "pools": endpoints(pools),
    }


def endpoints(pools: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each endpoint of each pool: how many ``workers`` know it, how many of them take it for ``healthy``
    and have it ``ejected``, and their counts added up."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for worker in pools:
        for pool, states in worker.get("pools", {}).items():
            for state in states:
                one = found.setdefault(
                    (pool, state["address"]),
                    {"pool": pool, "address": state["address"], "workers": 0, "healthy": 0, "ejected": 0}
                    | dict.fromkeys(_SUMMED, 0),
                )
                one["workers"] += 1
                one["healthy"] += bool(state["healthy"])
                one["ejected"] += bool(state["ejected"])
                for key in _SUMMED:
                    one[key] += state[key]
    return [found[key] for key in sorted(found)]


def _row(row: Sequence[Any]) -> Row:
    url, requests, hits, size = row
    return url, requests, hits, size
