"""Sources: lists, sitemaps and our own access logs, packed or not."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from edgeproxy.observe.access_log import formatter
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.warm import sources
from edgeproxy.warm.sources import Source, read
from tests.support.stages import exchange

PAGES = (
    b"<urlset><url><loc>https://a.example/?a=1&amp;b=2</loc></url><url><loc>https://a.example/x</loc></url></urlset>"
)


def given(data: bytes, base: str | None = None) -> Source:
    return read(io.BufferedReader(io.BytesIO(data)), base)


def test_a_list_names_each_url_once_as_keys_have_it() -> None:
    text = "\ufeff# pages\nhttps://A.example:443/x#top\n\n  http://a.example \nhttps://a.example/x\nhttps://a.example/ä?ö\n"
    assert given(text.encode()).urls == [
        "https://a.example/x",
        "http://a.example/",
        "https://a.example/%C3%A4?%C3%B6",
    ]


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_a_source_may_be_packed(pack: type[bytes]) -> None:
    assert given(pack(b"http://a.example/\n")).urls == ["http://a.example/"]
    assert given(pack(PAGES)).urls == ["https://a.example/?a=1&b=2", "https://a.example/x"]


def test_a_list_says_which_line_is_wrong() -> None:
    with pytest.raises(ValueError, match="line 3: '/x' is no absolute"):
        given(b"# pages\nhttp://a.example/\n/x\n")


def test_a_list_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST", 2)
    with pytest.raises(ValueError, match="more than 2 URLs"):
        given(b"http://a.example/1\nhttp://a.example/2\nhttp://a.example/3\n")


def ended(*targets: bytes, method: bytes = b"GET", status: int = 200) -> list[Exchange]:
    """Exchanges that ended, as the log is given them."""
    exchanges = [
        exchange(target, method=method, scheme=b"https", authority=b"a.example", started=0.0) for target in targets
    ]
    for x in exchanges:
        x.status, x.ended = status, 0.1
    return exchanges


@pytest.mark.parametrize("kind", ["json", "combined"])
def test_our_own_logs_are_read_the_most_asked_for_first(kind: str) -> None:
    asked = [
        *ended(b"/once", b"/often?x=1", b"/often?x=1", b"/often?x=1", b"/twice", b"/twice"),
        *ended(b"/posted", method=b"POST"),
        *ended(b"/gone", status=404),
        *ended(b"/failed", status=502),
        *ended(b"/?token=secret", b"/" + b"x" * 5000),
    ]
    lines = formatter(kind)(asked, 1_800_000_000.0)  # type: ignore[arg-type]
    found = given(lines, base="https://a.example/")
    assert found.urls == ["https://a.example/often?x=1", "https://a.example/twice", "https://a.example/once"]
    assert found.skipped == 5


def test_a_log_that_names_no_host_needs_to_be_told() -> None:
    lines = formatter("combined")(ended(b"/x"), 1_800_000_000.0)
    with pytest.raises(ValueError, match="--base"):
        given(lines)


def test_lines_that_are_no_records_are_counted_and_left_out() -> None:
    line = json.dumps({"method": "GET", "scheme": "http", "host": "a.example", "target": "/x", "status": 200})
    damaged = [line, "{", "{}", "", line.replace("200", '"2"'), line.replace("/x", "x" * sources.LINE), line]
    found = given("\n".join(damaged).encode())
    assert found.urls == ["http://a.example/x"]
    assert found.skipped == 4


def test_urls_of_a_log_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST", 2)
    lines = formatter("json")(ended(b"/1", b"/2", b"/3", b"/2"), 1_800_000_000.0)
    found = given(lines)
    assert (found.urls, found.skipped) == (["https://a.example/2", "https://a.example/1"], 1)
