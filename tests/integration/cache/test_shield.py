"""A node whose origin is another node: an origin shield, loops, and soft purges on the way."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.answers import Answer
from tests.support.client import ask
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

FIELDS = (b"Cache-Control: max-age=600, stale-while-revalidate=600", b"Surrogate-Key: page")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def tiers(site: Site) -> Iterator[tuple[EdgeProcess, EdgeProcess]]:
    """The node that faces clients, and its parent, which passes tags on."""
    with (
        EdgeProcess(settings(site.url, cache={"pass_tags": True})) as parent,
        EdgeProcess(settings(parent.url)) as child,
    ):
        yield child, parent


def settings(origin: str, **more: Any) -> dict[str, Any]:
    return config(origin, log={"access": False}, middleware={"bot_check": False}, **more)


def get(edge: EdgeProcess, *fields: bytes) -> Answer:
    return ask(edge.address, request(b"/", *fields, b"Connection: close")).final[0]


def purge(edge: EdgeProcess, order: dict[str, Any]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", edge.admin_port, timeout=10)
    connection.request("POST", "/purge", json.dumps(order), {"Content-Type": "application/json"})
    response = connection.getresponse()
    told = json.loads(response.read())
    connection.close()
    assert response.status == 200, told
    return int(told["purged"])


def ids(value: bytes | None) -> list[bytes]:
    return re.findall(rb"edgeproxy(?:-[\w.-]+)?", value or b"")


def test_a_node_may_have_another_one_as_its_origin(tiers: tuple[EdgeProcess, EdgeProcess], site: Site) -> None:
    child, _ = tiers
    site.on(b"/", answer(200, b"whole", *FIELDS))
    assert get(child).body == b"whole"
    (asked,) = site.requests
    for field in (b"cdn-loop", b"via"):
        found = ids(asked.get(field))
        assert len(found) == len(set(found)) == 2, asked.get(field)


def test_what_the_parent_has_the_child_need_not_fetch_from_the_site(
    tiers: tuple[EdgeProcess, EdgeProcess], site: Site
) -> None:
    child, parent = tiers
    site.on(b"/", answer(200, b"whole", *FIELDS))
    get(parent)
    got = get(child)
    assert got.get(b"cache-status") == b"edgeproxy; hit, edgeproxy; fwd=uri-miss; fwd-status=200; stored"
    assert len(site.requests) == 1


def test_tags_pass_between_nodes_and_not_to_clients(tiers: tuple[EdgeProcess, EdgeProcess], site: Site) -> None:
    child, parent = tiers
    site.on(b"/", answer(200, b"whole", *FIELDS, b"Cache-Tag: more"))
    for _ in range(2):
        assert get(child).get(b"surrogate-key") is None
        assert get(child).get(b"cache-tag") is None
    assert get(parent).get(b"surrogate-key") == b"page"
    assert purge(child, {"tag": "page"}) == 1
    assert purge(child, {"tag": "more"}) == 0


def test_tags_of_what_is_not_stored_stay_here_too(tiers: tuple[EdgeProcess, EdgeProcess], site: Site) -> None:
    child, parent = tiers
    site.on(b"/", answer(200, b"own", b"Cache-Control: private", b"Surrogate-Key: page"))
    assert get(child).get(b"surrogate-key") is None
    assert get(parent).get(b"surrogate-key") == b"page"


def test_what_a_parent_serves_stale_after_a_soft_purge_is_not_new_to_its_child(
    tiers: tuple[EdgeProcess, EdgeProcess], site: Site
) -> None:
    child, parent = tiers
    site.on(b"/", answer(200, b"old", *FIELDS))
    get(child)
    site.on(b"/", answer(200, b"new", *FIELDS))
    assert purge(parent, {"tag": "page", "soft": True}) == 1
    assert purge(child, {"tag": "page"}) == 1
    got = get(child)  # the parent serves what it has while it asks the site
    assert got.body == b"old"
    age = int(got.get(b"age") or b"-1")
    told = re.search(rb"max-age=(\d+)", got.get(b"cache-control") or b"")
    assert told is not None
    assert 0 <= int(told[1]) <= age
    wait_until(lambda: get(parent).body == b"new", "the parent has the new one")
    assert get(child).body in {b"old", b"new"}  # stale at the child as well: it asks behind its answer
    wait_until(lambda: get(child).body == b"new", "the child has the new one")
    fresh = get(child)
    assert b"; hit" in (fresh.get(b"cache-status") or b"")
    assert b"max-age=600" in (fresh.get(b"cache-control") or b"")


def test_a_soft_purge_leaves_the_lifetime_its_origin_gave(tiers: tuple[EdgeProcess, EdgeProcess], site: Site) -> None:
    """Also where the 304 that freshens it does not say it again."""
    _, parent = tiers
    site.on(b"/", answer(200, b"same", b'Etag: "1"', *FIELDS))
    get(parent)
    site.on(b"/", lambda asked: b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n')
    assert purge(parent, {"all": True, "soft": True}) == 1
    get(parent)
    wait_until(lambda: b"max-age=600" in (get(parent).get(b"cache-control") or b""), "it is fresh again")
    assert site.requests[-1].get(b"if-none-match") == b'"1"'


@pytest.mark.parametrize("name", [None, "edge-1.example.net"])
def test_a_loop_is_refused_wherever_it_closes(name: str | None) -> None:
    one = EdgeProcess(settings("http://127.0.0.1:1"))
    with EdgeProcess(settings(one.url)) as other:
        one.write(settings(other.url, **({} if name is None else {"node": name}), workers=2))
        with one:
            for _ in range(4):
                assert get(one).status == 508
                assert get(other).status == 508


def test_a_node_can_be_given_its_name(site: Site) -> None:
    with EdgeProcess(settings(site.url, node="Edge-1.example.net")) as edge:
        get(edge)
        assert site.requests[0].get(b"cdn-loop") == b"edgeproxy-edge-1.example.net"
        assert site.requests[0].get(b"via") == b"1.1 edgeproxy-edge-1.example.net"
        edge.write(settings(site.url, node="edge-2"))
        edge.reload()

        def renamed() -> bool:
            get(edge)
            return site.requests[-1].get(b"cdn-loop") == b"edgeproxy-edge-2"

        wait_until(renamed, "the new name is told")
