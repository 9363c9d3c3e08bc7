"""Rate limits as clients meet them: statuses and fields on the wire, on hits, misses and refusals."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from edgeproxy.http.structured import Item, parse_list
from tests.support.answers import Answer
from tests.support.client import RawClient
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

KEPT = answer(200, b"k" * 5_000, b"Cache-Control: max-age=600")

# Routes by the first segment of their paths, each with its rate limits.
LIMITS: dict[str, dict[str, Any]] = {
    "burst": {"rate": "1/s", "burst": 3},
    "told": {"rate": "10/h", "headers": "always"},
    "several": {
        "limits": [
            {"name": "all", "rate": "8/h"},
            {"name": "writes", "rate": "2/h", "cost": {"POST": 1, "default": 0}},
            {
                "name": "search",
                "rate": "3/h",
                "cost": {"/several/search": 1, "default": 0},
                "key": "client.net+query:q",
            },
        ]
    },
    "missing": {"rate": "20/h", "cost": {"default": 1, "404": 9}},
    "bytes": {"rate": "1KB/h", "burst": "12KB", "count": "bytes", "headers": "always"},
    "keyed": {"rate": "1/h", "key": "header:x-api-key+cookie:id"},
    "window": {"rate": "5/h", "algorithm": "window"},
    "hostile": {"rate": "1000000/s", "key": "client.net+query:k+cookie:k+header:k+path+country+asn+ja4"},
}


class Wire(NamedTuple):
    edge: EdgeProcess
    site: Site


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Site() as site:
        site.on(b"/told/kept", KEPT)
        site.on(b"/bytes/kept", KEPT)
        site.on(b"/missing/", answer(404, b"", b"Cache-Control: no-store"))
        settings = config(site.url, workers=1, middleware={"bot_check": False})
        settings["routes"] = [
            {"name": name, "match": {"path": f"/{name}/"}, "pool": "site", "middleware": {"rate_limit": limits}}
            for name, limits in LIMITS.items()
        ]
        with EdgeProcess(settings) as edge:
            yield Wire(edge, site)


@pytest.fixture
def client(wire: Wire) -> Iterator[RawClient]:
    with RawClient(wire.edge.address) as client:
        yield client


def asked(client: RawClient, *requests: bytes) -> list[Answer]:
    """The answers to requests sent one after another on one connection."""
    final = []
    for one in requests:
        client.received.clear()
        client.send(one)
        final += client.answers(1, (one.partition(b" ")[0],)).final
    return final


def statuses(client: RawClient, *requests: bytes) -> list[int]:
    return [one.status for one in asked(client, *requests)]


def items(field: bytes | None) -> dict[object, dict[str, object]]:
    """The members of a RateLimit field, by name; the grammar is that of RFC 9651."""
    members = parse_list(field or b"")
    assert members is not None
    return {item.value: dict(item.parameters) for item in members if isinstance(item, Item)}


def test_the_burst_passes_and_what_is_over_learns_when_to_come_back(wire: Wire, client: RawClient) -> None:
    *passed, refused = asked(client, *[request(b"/burst/")] * 4)
    assert [one.status for one in passed] == [200] * 3
    assert [one.get(b"ratelimit") for one in passed] == [None] * 3
    assert (refused.status, refused.get(b"retry-after")) == (429, b"1")
    assert refused.body == b"429 Too many requests; try again in 1 s.\n"
    assert refused.get(b"cache-control") == b"no-store"
    assert items(refused.get(b"ratelimit-policy")) == {"default": {"q": 3, "w": 3}}
    assert items(refused.get(b"ratelimit")) == {"default": {"r": 0, "t": 1}}
    assert len(wire.site.to(b"/burst/")) == 3
    wait_until(lambda: statuses(client, request(b"/burst/")) == [200], "a second has brought one back")
    metrics = wire.edge.admin("/metrics")[1]
    assert b'edgeproxy_refused_total{stage="rate_limit"}' in metrics
    assert b'edgeproxy_rate_limit_refused_total{limit="default"}' in metrics


def test_hits_bear_what_is_left_if_every_answer_is_to_and_the_kept_copy_does_not(wire: Wire, client: RawClient) -> None:
    answers = asked(client, *[request(b"/told/kept")] * 11)
    left = [items(one.get(b"ratelimit"))["default"]["r"] for one in answers]
    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert {one.get(b"ratelimit-policy") for one in answers} == {b'"default";q=10;w=3600'}
    assert [one.status for one in answers] == [200] * 10 + [429]
    assert len(wire.site.to(b"/told/kept")) == 1


def test_of_several_limits_the_one_that_refuses_is_named_and_no_other_counts(client: RawClient) -> None:
    post = request(b"/several/form", b"Content-Length: 0", method=b"POST")
    *_, refused = asked(client, *[post] * 5)
    assert items(refused.get(b"ratelimit"))["writes"]["r"] == 0
    assert list(items(refused.get(b"ratelimit-policy"))) == ["all", "writes", "search"]
    *passed, refused = asked(client, *[request(b"/several/search?q=%61")] * 3, request(b"/several/search?q=a"))
    assert [one.status for one in passed] == [200] * 3
    assert list(items(refused.get(b"ratelimit"))) == ["search"]
    assert statuses(client, *[request(b"/several/search?q=b")] * 4) == [200] * 3 + [429]
    (refused,) = asked(client, request(b"/several/"))
    assert items(refused.get(b"ratelimit")).keys() == {"all"}


def test_who_asks_for_what_is_not_there_runs_out_sooner(client: RawClient) -> None:
    assert statuses(client, *[request(b"/missing/")] * 2, request(b"/missing/there")) == [404, 404, 429]


def test_bytes_are_counted_as_they_leave_from_the_cache_too_and_a_head_has_none(wire: Wire, client: RawClient) -> None:
    get, head = request(b"/bytes/kept"), request(b"/bytes/kept", method=b"HEAD")
    assert statuses(client, get, *[head] * 5, get) == [200] * 7
    left, refused = asked(client, get, head)
    assert items(left.get(b"ratelimit"))["default"]["r"] == 2_000
    assert items(left.get(b"ratelimit-policy"))["default"]["qu"] == "content-bytes"
    assert refused.status == 429
    assert 10_790 < int(refused.get(b"retry-after") or b"0") <= 10_805  # 3001 of the bytes must come back
    assert len(wire.site.to(b"/bytes/kept")) == 1


def test_each_key_has_a_limit_of_its_own(client: RawClient) -> None:
    fields = [(b"X-Api-Key: a",), (b"X-Api-Key: b",), (b"X-Api-Key: a", b"Cookie: id=1"), (), (b"Cookie: id=1",)]
    asked_twice = [request(b"/keyed/", *lines) for lines in fields * 2]
    assert statuses(client, *asked_twice) == [200] * 5 + [429] * 5


def test_a_window_lets_its_number_through_and_no_more(client: RawClient) -> None:
    assert statuses(client, *[request(b"/window/")] * 7) == [200] * 5 + [429] * 2


def test_whatever_clients_put_into_keys_is_answered_and_nothing_fails(wire: Wire, client: RawClient) -> None:
    draw = random.Random(7)
    parts = [b"k", b"=", b"&", b";", b"%6b", b"%zz", b"%00", b"+", b'"', b",", b"\xff", b"\t", b"kk", b"K"]

    def text(size: int) -> bytes:
        return b"".join(draw.choices(parts, k=draw.randrange(size)))

    for _ in range(1_000):
        target = b"/hostile/?" + text(40).replace(b"\t", b"").replace(b"\xff", b"")
        (got,) = asked(client, request(target, b"Cookie: " + text(40), b"K: " + text(200)))
        assert got.status == 200
    assert "internal error" not in wire.edge.logs()


def test_a_reload_that_leaves_the_limit_alone_leaves_its_counts_alone() -> None:
    stages: dict[str, Any] = {"bot_check": False, "rate_limit": {"rate": "2/h"}}
    more = {**stages, "headers": {"response": {"set": {"x-new": "1"}}}}
    with (
        Site() as site,
        EdgeProcess(config(site.url, workers=1, middleware=stages)) as edge,
        RawClient(edge.address) as client,
    ):
        assert statuses(client, request(), request(), request()) == [200, 200, 429]
        edge.write(config(site.url, workers=1, middleware=more))
        edge.reload()
        wait_until(lambda: "configuration reloaded" in edge.logs(), "it is reloaded")
        assert statuses(client, request()) == [429]
