"""The demo site through the proxy: the same bytes, from the store where they may be, and never where they may not."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

import aiohttp
import pytest

from tests.support.fetching import CODINGS, fetch, wire_session
from tests.support.processes import EdgeProcess

PAGES = ("/", "/stations/", "/photographs/", "/live/", "/reader/", "/sign-in/")
API = ("/api/stations", "/api/stations/skarholm")


class Links(HTMLParser):
    """Every address a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"href", "src"} and value:
                self.found.append(value)
            elif name == "srcset" and value:
                self.found += [candidate.split()[0] for candidate in value.split(",")]


async def crawl(session: aiohttp.ClientSession, base: str) -> list[str]:
    """All paths of the site that can be reached from its first page."""
    paths = ["/"]
    for path in paths:
        answer = await fetch(session, base + path)
        assert answer.status == 200, path
        if answer.fields["content-type"].startswith("text/html"):
            links = Links()
            links.feed(answer.content.decode())
            for link in links.found:
                target = urlsplit(urldefrag(urljoin(base + path, link)).url)
                assert target.netloc == urlsplit(base).netloc, f"{path} leads outside: {link}"
                if target.path not in paths:
                    paths.append(target.path)
    return paths


async def test_every_file_of_the_site_is_byte_identical_through_the_proxy(origin: str, edge: EdgeProcess) -> None:
    async with wire_session() as session:
        paths = await crawl(session, origin)
        assert set(PAGES) < set(paths)
        assert sum(path.endswith(".jpg") for path in paths) >= 7
        for path in [*paths, *API, "/robots.txt"]:
            direct = await fetch(session, origin + path)
            for coding in CODINGS:
                answer = await fetch(session, edge.url + path, accept_encoding=coding)
                assert answer.status == 200
                assert answer.content == direct.body, f"{path} as {coding}"
                for name in ("content-type", "cache-control", "last-modified"):
                    assert answer.fields.get(name) == direct.fields.get(name), f"{name} of {path}"


async def test_links_lead_to_the_same_pages_behind_the_proxy(origin: str, edge: EdgeProcess) -> None:
    async with wire_session() as session:
        assert await crawl(session, edge.url) == await crawl(session, origin)


async def test_second_visit_is_a_hit(edge: EdgeProcess) -> None:
    async with wire_session() as session:
        for path in [*await crawl(session, edge.url), *API]:
            await fetch(session, edge.url + path)
            assert (await fetch(session, edge.url + path)).hit, path


async def test_an_unchanged_page_is_not_sent_again(edge: EdgeProcess) -> None:
    async with wire_session() as session:
        for path in ("/", "/api/stations"):
            first = await fetch(session, edge.url + path)
            again = await fetch(session, edge.url + path, if_none_match=first.fields["etag"])
            assert (again.status, again.body) == (304, b"")


async def test_the_clock_is_never_stored(edge: EdgeProcess) -> None:
    async with wire_session() as session:
        answers = [await fetch(session, f"{edge.url}/api/time") for _ in range(3)]
    assert len({answer.content for answer in answers}) == 3
    assert not any(answer.hit for answer in answers)


async def test_a_missing_page_is_the_sites_own_404(origin: str, edge: EdgeProcess) -> None:
    async with wire_session() as session:
        direct = await fetch(session, f"{origin}/nowhere")
        answer = await fetch(session, f"{edge.url}/nowhere")
    assert (answer.status, answer.content) == (404, direct.body)


async def test_members_page_asks_for_a_token(origin: str, edge: EdgeProcess, token: str) -> None:
    async with wire_session() as session:
        without = await fetch(session, f"{edge.url}/members/")
        wrong = await fetch(session, f"{edge.url}/members/", authorization=f"Bearer {token[:-4]}AAAA")
        right = await fetch(session, f"{edge.url}/members/", authorization=f"Bearer {token}")
        after = await fetch(session, f"{edge.url}/members/")
        direct = await fetch(session, f"{origin}/members/")
    assert (without.status, wrong.status, right.status, after.status) == (401, 401, 200, 401)
    assert right.content == direct.body
    assert not right.hit
    assert b"Skarholm" not in without.body + after.body


@pytest.mark.parametrize("size", [0, 5, 126, 60_000])
async def test_websocket_echo_works_through_the_proxy(edge: EdgeProcess, size: int) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{edge.url}/ws/echo") as socket:
        await socket.send_str("x" * size)
        assert await socket.receive_str(timeout=5) == "x" * size
        await socket.send_bytes(b"\x00\xff" * (size // 2))
        assert await socket.receive_bytes(timeout=5) == b"\x00\xff" * (size // 2)
