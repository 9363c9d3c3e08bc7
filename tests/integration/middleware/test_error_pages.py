"""The way down: the pool, its fallback, a stale copy, an error page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import Answer, ask
from tests.support.inprocess import InProcessEdge
from tests.support.origin import answer
from tests.support.ports import free_port
from tests.support.site import Site, request

HTML = b"Accept: text/html,*/*;q=0.8"
AGED = (b"Cache-Control: max-age=1", b"Age: 5", b'ETag: "1"')
"""Stale when it arrives, so that each use asks the origin first."""


def get(edge: InProcessEdge, target: bytes, *fields: bytes, method: bytes = b"GET") -> Answer:
    (got,) = ask(edge.address, request(target, *fields, method=method)).final
    return got


def pages(**more: Any) -> dict[str, Any]:
    return {"pages": [{"status": ["5xx", 404], "html": "<h1>{status}</h1><p>{reason}</p>{request.id}"}], **more}


def config(first: str, second: str) -> dict[str, Any]:
    return {
        "middleware": {"error_pages": pages()},
        "pools": {"first": {"endpoints": [first], "fallback": "second"}, "second": {"endpoints": [second]}},
        "routes": [
            {"name": "all", "pool": "first"},
            {
                "name": "origins",
                "match": {"path": "/origins"},
                "pool": "second",
                "middleware": {"error_pages": pages(origin=True)},
            },
            {
                "name": "closed",
                "match": {"path": "/closed"},
                "pool": "second",
                "middleware": {"static": {"answers": [{"status": 503, "body": "closed"}]}},
            },
            {
                "name": "limited",
                "match": {"path": "/limited"},
                "pool": "second",
                "middleware": {"access_rules": {"default": "deny", "status": 404}},
            },
        ],
    }


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[InProcessEdge]:
    with InProcessEdge(config(f"http://127.0.0.1:{free_port()}", site.url)) as edge:
        yield edge


def test_the_way_down_ends_with_the_page() -> None:
    first, second = free_port(), free_port()
    with InProcessEdge(config(f"http://127.0.0.1:{first}", f"http://127.0.0.1:{second}")) as edge:
        with Site(port=second) as fallback:
            with Site(port=first) as site:
                site.on(b"/kept", answer(200, b"first", *AGED))
                assert get(edge, b"/kept", HTML).body == b"first"
            fallback.on(b"/kept", answer(200, b"second", *AGED))
            assert get(edge, b"/kept", HTML).body == b"second", "the fallback pool"
        stale = get(edge, b"/kept", HTML)
        assert (stale.status, stale.body) == (200, b"second"), "the stale copy"
        assert b"hit; fwd=stale" in (stale.get(b"cache-status") or b"")
        page = get(edge, b"/never-asked", HTML)
        assert page.status == 502
        assert page.body.startswith(b"<h1>502</h1><p>Bad Gateway</p>")
        assert page.body.endswith(page.get(b"x-request-id") or b"?")
        assert page.get(b"cache-control") == b"no-store"
        assert page.get(b"content-length") == b"%d" % len(page.body)
        assert (page.get(b"proxy-status") or b"").startswith(b"edgeproxy; error=")


def test_programs_get_json_or_text_and_heads_nothing(edge: InProcessEdge, site: Site) -> None:
    site.on(b"/origins/missing", answer(404, b"origin's own", b'ETag: "1"', reason=b"Not Found"))
    told = get(edge, b"/origins/missing", b"Accept: application/json")
    assert told.get(b"content-type") == b"application/problem+json"
    assert json.loads(told.body)["status"] == 404
    assert get(edge, b"/origins/missing").body == b"404 Not Found\n"
    head = get(edge, b"/origins/missing", HTML, method=b"HEAD")
    assert (head.status, head.body) == (404, b"")
    assert head.get(b"content-type") == b"text/html; charset=utf-8"


def test_what_is_kept_stays_what_the_origin_said(edge: InProcessEdge, site: Site) -> None:
    site.on(b"/origins/kept", answer(404, b"origin's own", b"Cache-Control: max-age=600", b'ETag: "1"', reason=b"No"))
    for fields, body in (((HTML,), b"<h1>404</h1>"), ((), b"404 Not Found\n"), ((HTML,), b"<h1>404</h1>")):
        got = get(edge, b"/origins/kept", *fields)
        assert got.body.startswith(body)
        assert (got.get(b"etag"), got.get(b"vary")) == (None, b"accept")
        assert got.get(b"cache-control") == b"max-age=600"
    assert b"hit" in (got.get(b"cache-status") or b"")
    assert len(site.to(b"/origins/kept")) == 1
    edge.run(_forget_stage(edge))
    assert get(edge, b"/origins/kept", HTML).body == b"origin's own"


async def _forget_stage(edge: InProcessEdge) -> None:
    """Take the response hooks out of the route, so that what is stored is seen as it is."""
    route = edge.snapshot.router.named("origins")
    assert route is not None
    inline = tuple((hook, ()) for hook, _ in route.chain.inline)
    route.chain = route.chain._replace(inline=inline)


def test_origins_errors_are_their_own_unless_asked_for(edge: InProcessEdge, site: Site) -> None:
    site.on(b"/missing", answer(404, b"404 origin's own", b"Content-Type: text/plain; charset=utf-8", reason=b"No"))
    assert get(edge, b"/missing", HTML).body == b"404 origin's own"


def test_refusals_have_a_page_and_what_static_answers_has_none(edge: InProcessEdge) -> None:
    assert get(edge, b"/limited", HTML).body.startswith(b"<h1>404</h1>")
    assert get(edge, b"/limited").body == b"404 Access denied.\n"
    assert get(edge, b"/closed", HTML).body == b"closed"
