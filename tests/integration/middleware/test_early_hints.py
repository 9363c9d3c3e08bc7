"""Early hints on real connections: a browser asks for a page's style sheet while the page is still being made."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import browser_page, trusting
from tests.support.certificates import Authority
from tests.support.client import RawClient
from tests.support.inprocess import InProcessEdge
from tests.support.origin import RecordedRequest, Script, answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

STYLE = b"</a.css>; rel=preload; as=style"
PAGE = b"<!doctype html><title>a page</title><link rel=icon href=data:,><link rel=stylesheet href=/a.css><p>Hello.</p>"
ANSWER = answer(200, PAGE, b"Content-Type: text/html", b"Cache-Control: max-age=1", b"Link: " + STYLE)
CSS = answer(200, b"p { color: rgb(1, 2, 3) }", b"Content-Type: text/css", b"Cache-Control: max-age=600")
NAVIGATION = (b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: document")
PATIENCE = 20.0


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/a.css", CSS)
        yield site


def test_links_are_told_before_the_origin_has_begun_to_answer(site: Site) -> None:
    told = threading.Event()

    def page(_: RecordedRequest) -> Script:
        assert told.wait(PATIENCE), "nothing was told before the answer"
        yield ANSWER

    site.on(b"/page", page)
    settings = {"links": STYLE.decode(), "http1": True}
    with InProcessEdge(config(site.url, middleware={"early_hints": settings})) as edge:
        with RawClient(edge.address) as client:
            client.send(request(b"/page", *NAVIGATION))
            head = b"HTTP/1.1 103 Early Hints\r\nlink: " + STYLE + b"\r\n\r\n"
            assert client.read_until(lambda received: received.endswith(b"\r\n\r\n")) == head
            told.set()
            assert client.answers(1).statuses == [200]
        with RawClient(edge.address) as client:
            client.send(request(b"/page", *NAVIGATION))
            hit = client.answers(1)
            assert (hit.interim, hit.final[0].get(b"cache-status")) == ([], b"edgeproxy; hit")
        assert edge.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["h2", "h3"])
async def test_a_browser_asks_for_the_style_sheet_before_the_page_has_begun(
    site: Site, tmp_path: Path, protocol: str
) -> None:
    """The page is one that is asked about each time, and was learned of by a first visit. It is not answered before the
    sheet was asked for, so that nothing but the hint can have told of it."""
    asked, visits = threading.Event(), []

    def page(_: RecordedRequest) -> Script:
        visits.append(None)
        assert len(visits) == 1 or asked.wait(PATIENCE), "the style sheet was not asked for"
        yield answer(200, PAGE, b"Content-Type: text/html", b"Cache-Control: no-cache", b'ETag: "1"', b"Link: " + STYLE)

    def sheet(_: RecordedRequest) -> Script:
        asked.set()
        return CSS

    site.on(b"/", page)
    site.on(b"/a.css", sheet)
    authority = Authority(tmp_path)
    pair = authority.issue("localhost", "127.0.0.1")
    tls = {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]}
    settings = config(site.url, middleware={"early_hints": True})
    edge = EdgeProcess(settings)
    edge.write(
        {**settings, "listeners": [{"address": f"127.0.0.1:{edge.port}", "tls": tls, "protocols": ["h1", "h2", "h3"]}]}
    )
    trust = ssl.create_default_context(cafile=str(authority.file))
    with edge:
        with RawClient(edge.address, tls=trust) as client:
            client.send(request(b"/").replace(b"a.example", b"127.0.0.1:%d" % edge.port))
            assert client.answers(1).statuses == [200]
        flags = [trusting(pair.certificate)]
        flags += [f"--origin-to-force-quic-on=127.0.0.1:{edge.port}"] if protocol == "h3" else []
        async with browser_page(flags=flags, quic=protocol == "h3") as browser:
            await browser.open(f"https://127.0.0.1:{edge.port}/")
            entry = await browser.run(
                "performance.getEntriesByType('resource').find((entry) => entry.name.endsWith('/a.css')).toJSON()"
            )
            begun = await browser.run("performance.getEntriesByType('navigation')[0].toJSON()")
            colour = await browser.run("getComputedStyle(document.querySelector('p')).color")
            assert browser.complaints == []
        assert begun["nextHopProtocol"] == protocol
        assert entry["initiatorType"] == "early-hints"
        assert 0 < begun["firstInterimResponseStart"] < begun["finalResponseHeadersStart"]
        assert colour == "rgb(1, 2, 3)"
