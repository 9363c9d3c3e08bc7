"""What the page is told, put together from what the workers say."""

from __future__ import annotations

import time
from typing import Any

from edgeproxy.observe.metrics import Metrics
from edgeproxy.supervisor.history import History
from edgeproxy.supervisor.stats import endpoints, stats


def state(address: str, **more: Any) -> dict[str, Any]:
    usual = {"healthy": True, "ejected": False, "in_flight": 1, "idle": 2, "requests": 10, "failures": 0, "weight": 1}
    return {"address": address, **usual, **more}


def test_workers_views_of_an_endpoint_become_one() -> None:
    told = endpoints(
        [
            {"pid": 1, "pools": {"site": [state("a:1"), state("b:1", healthy=False)]}},
            {"pid": 2, "pools": {"site": [state("a:1", ejected=True, failures=3), state("b:1", healthy=False)]}},
            {"pid": 3, "error": "no answer"},
        ]
    )
    assert told == [
        {"pool": "site", "address": "a:1", "workers": 2, "healthy": 2, "ejected": 1}
        | {"in_flight": 2, "idle": 4, "requests": 20, "failures": 3},
        {"pool": "site", "address": "b:1", "workers": 2, "healthy": 0, "ejected": 0}
        | {"in_flight": 2, "idle": 4, "requests": 20, "failures": 0},
    ]


def test_top_urls_of_all_workers_are_added_up() -> None:
    tops: list[Any] = [[12.0, [["http://a/", 2, 1, 20]]], [9.0, [["http://a/", 3, 3, 30], ["http://b/", 1, 0, 5]]]]
    told = stats({"status": "ready"}, History(time.monotonic()), Metrics().dump(), tops, [])
    assert told["top"] == {
        "seconds": 12.0,
        "urls": [
            {"url": "http://a/", "requests": 5, "hits": 4, "bytes": 50},
            {"url": "http://b/", "requests": 1, "hits": 0, "bytes": 5},
        ],
    }
    assert told["health"] == {"status": "ready"}


def test_without_workers_there_is_nothing_and_no_error() -> None:
    told = stats({"status": "down"}, History(time.monotonic()), Metrics().dump(), [], [])
    assert (told["top"], told["pools"]) == ({"seconds": 0.0, "urls": []}, [])
