"""Static answers on real sockets: a closed site, files that change, bodies that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import Answer, RawClient, ask
from tests.support.inprocess import InProcessEdge
from tests.support.ports import wait_until
from tests.support.site import Site, config, request


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("static") / "closed.html"
    file.write_text("<h1>Closed</h1>")
    return file


@pytest.fixture(scope="module")
def edge(site: Site, page: Path) -> Iterator[InProcessEdge]:
    answers: list[dict[str, Any]] = [
        {"path": "/robots.txt", "body": "User-agent: *\nDisallow: /\n", "fields": {"cache-control": "max-age=60"}},
        {"prefix": "/shop/", "status": 503, "retry_after": "5m", "file": str(page), "except": ["127.0.0.2"]},
    ]
    with InProcessEdge(config(site.url, middleware={"static": {"answers": answers}})) as edge:
        yield edge
        assert not edge.faults


def get(
    edge: InProcessEdge, target: bytes, *fields: bytes, method: bytes = b"GET", source: str | None = None
) -> Answer:
    with RawClient(edge.address, source=source) as client:
        client.send(request(target, *fields, method=method))
        (got,) = client.answers(1, (method,)).final
    return got


def test_a_closed_part_lets_the_listed_addresses_through(edge: InProcessEdge, site: Site) -> None:
    closed = get(edge, b"/shop/cart")
    assert (closed.status, closed.body, closed.get(b"retry-after")) == (503, b"<h1>Closed</h1>", b"300")
    assert closed.get(b"content-type") == b"text/html"
    assert closed.get(b"cache-control") == b"no-store"
    assert get(edge, b"/shop/cart", source="127.0.0.2").body == b"ok"
    assert get(edge, b"/elsewhere").body == b"ok"
    assert [each.target for each in site.requests] == [b"/shop/cart", b"/elsewhere"]


def test_heads_have_no_content_and_conditions_are_followed(edge: InProcessEdge) -> None:
    whole = get(edge, b"/robots.txt")
    head = get(edge, b"/robots.txt", method=b"HEAD")
    assert (whole.status, whole.body) == (200, b"User-agent: *\nDisallow: /\n")
    assert (head.status, head.body, head.get(b"content-length")) == (200, b"", whole.get(b"content-length"))
    again = get(edge, b"/robots.txt", b"If-None-Match: " + (whole.get(b"etag") or b""))
    assert (again.status, again.body) == (304, b"")
    assert get(edge, b"/robots.txt", method=b"DELETE").status == 405


def test_a_body_that_nobody_reads_is_not_taken_for_a_request(edge: InProcessEdge) -> None:
    smuggled = request(b"/smuggled")
    first = request(b"/shop/cart", b"Content-Length: %d" % len(smuggled), method=b"POST")
    got = ask(edge.address, first + smuggled)
    assert [each.status for each in got.final] == [503]


@pytest.mark.slow
def test_a_file_that_changes_is_read_again(edge: InProcessEdge, page: Path) -> None:
    page.write_text("<h1>Open at nine</h1>")
    wait_until(lambda: get(edge, b"/shop/").body == b"<h1>Open at nine</h1>", "the new page is in service")
