"""Guarantee 3: a stored answer is served while every origin is down, within its grace.

Seen to fail: with ``Lookup._fail`` of cache/lookup.py handing on the error whatever is stored; with a grace that has
no end (cache/policy.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Answer, ask
from tests.support.origin import RecordedRequest, Script, answer
from tests.support.ports import free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

AGED = (b"Cache-Control: max-age=1", b"Age: 5", b'ETag: "1"')
"""Stale when it arrives, so that each use asks the origin first."""


def get(edge: EdgeProcess, target: bytes) -> Answer:
    (got,) = ask(edge.address, request(target)).final
    return got


@pytest.fixture
def edge_and_site() -> Any:
    """A proxy that has a stale answer of an origin which is then taken away."""
    port = free_port()
    whole = config(f"http://127.0.0.1:{port}", log={"access": False})
    whole["routes"] += [
        {"name": "short", "match": {"path": "/short"}, "pool": "site", "middleware": {"cache": {"grace": "2s"}}},
    ]
    with EdgeProcess(whole) as edge:
        with Site(port=port) as site:
            site.on(b"/", answer(200, b"kept", *AGED))
            site.on(b"/short", answer(200, b"kept", *AGED))
            site.on(b"/strict", answer(200, b"kept", *AGED[1:], b"Cache-Control: max-age=1, must-revalidate"))
            for target in (b"/", b"/short", b"/strict"):
                assert get(edge, target).body == b"kept"
        yield edge, port


def test_what_is_stored_is_served_within_its_grace_and_renewed_when_the_origin_is_back(
    edge_and_site: tuple[EdgeProcess, int],
) -> None:
    edge, port = edge_and_site
    for _ in range(3):
        got = get(edge, b"/")
        assert (got.status, got.body) == (200, b"kept")
        assert b"hit; fwd=stale; detail=" in (got.get(b"cache-status") or b"")
        assert int(got.get(b"age") or b"0") >= 5
    assert get(edge, b"/short").status == 502, "its grace is over"
    assert get(edge, b"/strict").status == 502, "it said must-revalidate"
    assert get(edge, b"/never-asked").status == 502
    asked: list[RecordedRequest] = []

    def renewed(each: RecordedRequest) -> Script:
        asked.append(each)
        return answer(200, b"renewed", b"Cache-Control: max-age=600")

    with Site(port=port) as site:
        site.on(b"/", renewed)
        wait_until(lambda: get(edge, b"/").body == b"renewed", "the origin is asked again")
        assert get(edge, b"/").body == b"renewed"
        assert len(asked) == 1
        assert asked[0].get(b"if-none-match") == b'"1"'


def test_the_fallback_pool_is_down_as_well(metric: Callable[..., float]) -> None:
    ports = [free_port(), free_port()]
    whole = config(f"http://127.0.0.1:{ports[0]}", log={"access": False})
    whole["pools"]["site"]["fallback"] = "spare"
    whole["pools"]["spare"] = {"endpoints": [f"http://127.0.0.1:{ports[1]}"]}
    with EdgeProcess(whole) as edge:
        with Site(port=ports[1]) as spare:
            spare.on(b"/", answer(200, b"of the spare", *AGED))
            assert get(edge, b"/").body == b"of the spare"
        assert get(edge, b"/").body == b"of the spare"
        assert metric(edge, "edgeproxy_origin_failovers_total") == 2
