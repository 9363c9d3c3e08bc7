"""Routes to the same URLs: what one has been given never answers another, and purges reach them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgeproxy.cache.purge import named
from tests.support.answers import Answer
from tests.support.client import ask
from tests.support.inprocess import InProcessEdge
from tests.support.origin import RecordedRequest, answer
from tests.support.site import Site, config, request

BETA = b"X-Beta: 1"


def told_apart(asked: RecordedRequest) -> bytes:
    return answer(200, b"for beta" if asked.get(b"x-beta") else b"for all", b"Cache-Control: max-age=600")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/", told_apart)
        yield site


@pytest.fixture
def edge(site: Site) -> Iterator[InProcessEdge]:
    whole = config(site.url, middleware={"bot_check": False})
    whole["routes"].append({"name": "beta", "match": {"header": {"x-beta": "1"}}, "pool": "site"})
    with InProcessEdge(whole) as edge:
        yield edge
    assert not edge.faults


def get(edge: InProcessEdge, *fields: bytes, method: bytes = b"GET") -> Answer:
    return ask(edge.address, request(b"/", *fields, b"Connection: close", method=method)).final[0]


def test_what_one_route_was_given_does_not_answer_another(edge: InProcessEdge, site: Site) -> None:
    for _ in range(2):
        assert get(edge, BETA).body == b"for beta"
        assert get(edge).body == b"for all"
    assert len(site.requests) == 2


def test_a_purge_reaches_the_answers_of_every_route(edge: InProcessEdge, site: Site) -> None:
    get(edge, BETA)
    get(edge)

    async def purge() -> int:
        return edge.tiers.purge(named("url", "http://a.example/", edge.clock.wall()))

    assert edge.run(purge()) == 2
    get(edge, BETA)
    get(edge)
    assert len(site.requests) == 4


def test_an_unsafe_request_invalidates_the_answers_of_every_route(edge: InProcessEdge, site: Site) -> None:
    get(edge, BETA)
    get(edge)
    assert get(edge, b"Content-Length: 0", method=b"POST").status == 200
    get(edge, BETA)
    get(edge)
    assert len(site.requests) == 5
