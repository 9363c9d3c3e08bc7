"""Prefetching behind the real proxy: by the route of what is fetched, never by the page's."""

from __future__ import annotations

from tests.support.client import ask
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, request

PAGE = b"Cache-Control: max-age=600", b"Content-Type: text/html"
CLOSE = b"Connection: close"
FETCHED_BOTH = b'edgeproxy_prefetch_total{outcome="fetched"} 2.0'


def test_linked_files_are_hits_before_anybody_asked_and_come_from_their_own_pool() -> None:
    with Site() as site, Site() as api:
        site.on(b"/", answer(200, b"page", *PAGE, b"Link: </api/x>; rel=preload, </app.css>; rel=preload"))
        site.on(b"/api/x", answer(200, b"wrong", b"Cache-Control: max-age=600"))
        api.on(b"/api/x", answer(200, b"right", b"Cache-Control: max-age=600"))
        site.on(b"/app.css", answer(200, b"css", b"Cache-Control: max-age=600", b"Content-Type: text/css"))
        config = {
            "log": {"access": False},
            "middleware": {"prefetch": True},
            "pools": {"site": {"endpoints": [site.url]}, "api": {"endpoints": [api.url]}},
            "routes": [{"name": "api", "match": {"path": "/api/"}, "pool": "api"}, {"name": "all", "pool": "site"}],
        }
        with EdgeProcess(config) as edge:
            ask(edge.address, request(b"/", b"Cookie: id=1", CLOSE))
            wait_until(lambda: FETCHED_BOTH in edge.admin("/metrics")[1], "both are fetched")
            for origin, target in ((site, b"/app.css"), (api, b"/api/x")):
                (asked,) = origin.to(target)
                assert asked.get(b"sec-purpose") == b"prefetch"
                assert asked.get(b"cookie") is None
            for target, body in ((b"/app.css", b"css"), (b"/api/x", b"right")):
                (got,) = ask(edge.address, request(target, CLOSE)).final
                assert (got.body, got.get(b"cache-status")) == (body, b"edgeproxy; hit")
            assert site.to(b"/api/x") == []
