"""Dictionaries over real sockets, with a client of our own that undoes dcz by Zstandard's library."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest

from tests.support.client import Answer, ask
from tests.support.origin import RecordedRequest, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config
from tests.support.versions import available, script, undo_dcz

OLD, NEW = script(1), script(2)
JS = (b"Content-Type: text/javascript", b"Cache-Control: max-age=600", b'ETag: "1"')
OLD_URL, NEW_URL = b"/assets/app.1.js", b"/assets/app.2.js"
HOST = b"Host: localhost"
BROWSER = b"Accept-Encoding: gzip, deflate, br, zstd, dcb, dcz"
HAS = b"Available-Dictionary: " + available(OLD)


def settings(site: Site, **more: Any) -> dict[str, Any]:
    dictionaries = {"match": ["/assets/app.*.js", "/packed/:file"], **more}
    return config(site.url, workers=2, middleware={"compression": {"dictionaries": dictionaries}})


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as opened:
        opened.on(OLD_URL, answer(200, OLD, *JS))
        opened.on(NEW_URL, answer(200, NEW, *JS))
        yield opened


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(settings(site)) as opened:
        get(opened, OLD_URL, b"Accept-Encoding: br")
        wait_until(lambda: kept(opened) == 1, "the dictionary is on the shelf")
        yield opened
        assert "error" not in opened.logs().replace('"error":', "")


def get(edge: EdgeProcess, target: bytes, *fields: bytes, method: bytes = b"GET", host: bytes = HOST) -> Answer:
    """The answer on a connection of its own, so that any worker may be the one to give it."""
    lines = [b"%b %b HTTP/1.1" % (method, target), host, b"Connection: close", *fields]
    (only,) = ask(edge.address, b"\r\n".join(lines) + b"\r\n\r\n").final
    return only


def kept(edge: EdgeProcess) -> float:
    lines = edge.admin("/metrics")[1].decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith('edgeproxy_dictionaries_total{outcome="kept"')
    )


def test_any_worker_gives_the_difference_to_whoever_has_the_earlier_version(edge: EdgeProcess) -> None:
    for _ in range(12):
        only = get(edge, NEW_URL, BROWSER, HAS)
        assert only.get(b"content-encoding") == b"dcz"
        assert only.get(b"vary") == b"accept-encoding, available-dictionary"
        assert undo_dcz(only.body, OLD) == NEW
        assert len(only.body) < len(NEW) / 100


def test_an_origin_that_compresses_is_no_hindrance(site: Site, edge: EdgeProcess) -> None:
    def packing(body: bytes) -> Callable[[RecordedRequest], bytes]:
        def told(asked: RecordedRequest) -> bytes:
            packs = b"gzip" in (asked.get(b"accept-encoding") or b"").split(b", ")
            fields = (*JS, b"Vary: Accept-Encoding", *([b"Content-Encoding: gzip"] if packs else []))
            return answer(200, gzip.compress(body) if packs else body, *fields)

        return told

    earlier, later = script(11), script(12)
    site.on(b"/packed/1.js", packing(earlier))
    site.on(b"/packed/2.js", packing(later))
    first = get(edge, b"/packed/1.js", b"Accept-Encoding: gzip, br")
    assert first.get(b"content-encoding") == b"gzip"
    assert first.get(b"use-as-dictionary") == b'match="/packed/:file"'

    def next_one() -> Answer:
        return get(edge, b"/packed/2.js", BROWSER, b"Available-Dictionary: " + available(earlier))

    wait_until(lambda: next_one().get(b"content-encoding") == b"dcz", "its plain bytes are on the shelf")
    assert undo_dcz(next_one().body, earlier) == later


def test_the_rest_gets_what_it_reads(edge: EdgeProcess) -> None:
    only = get(edge, NEW_URL, b"Accept-Encoding: br")
    assert brotli.decompress(only.body) == NEW
    assert get(edge, NEW_URL).body == NEW


@pytest.mark.parametrize(
    "fields",
    [
        (BROWSER, b"Available-Dictionary: " + available(b"something else")),
        (BROWSER, b"Available-Dictionary: :AAAA"),
        (BROWSER, HAS, HAS),
        (BROWSER, b"Available-Dictionary: " + b":" * 8000),
        (b"Accept-Encoding: br, zstd, dcz;q=0", HAS),
        (BROWSER, HAS, b"Authorization: Basic eDp5"),
        (BROWSER, HAS, b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Mode: no-cors"),
    ],
)
def test_without_a_dictionary_of_ours_there_is_no_difference(edge: EdgeProcess, fields: tuple[bytes, ...]) -> None:
    only = get(edge, NEW_URL, *fields)
    assert only.status == 200
    assert only.get(b"content-encoding") in {b"zstd", b"br"}


def test_a_dictionary_is_for_its_own_origin(edge: EdgeProcess) -> None:
    assert get(edge, NEW_URL, BROWSER, HAS, host=b"Host: other.localhost").get(b"content-encoding") == b"zstd"


def test_a_part_is_one_of_the_plain_answer(edge: EdgeProcess) -> None:
    only = get(edge, NEW_URL, b"Accept-Encoding: identity", HAS, b"Range: bytes=0-99")
    assert (only.status, only.body) == (206, NEW[:100])
    assert get(edge, NEW_URL, BROWSER, HAS, b"Range: bytes=0-99").get(b"content-encoding") != b"dcz"


def test_head_and_conditions_are_about_the_same_answer(edge: EdgeProcess) -> None:
    for _ in range(20):  # a better copy may come to be kept between the two
        whole = get(edge, NEW_URL, BROWSER, HAS)
        head = get(edge, NEW_URL, BROWSER, HAS, method=b"HEAD")
        if head.get(b"content-length") == b"%d" % len(whole.body):
            break
    assert head.get(b"content-encoding") == b"dcz"
    assert head.get(b"content-length") == b"%d" % len(whole.body)
    etag = whole.get(b"etag")
    assert etag == b'W/"1"'
    known = get(edge, NEW_URL, BROWSER, HAS, b"If-None-Match: " + etag)
    assert (known.status, known.body) == (304, b"")


@pytest.mark.slow
def test_a_folder_of_ones_own_outlasts_a_restart(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "dictionaries"
    for run in range(2):
        with EdgeProcess(settings(site, folder=str(folder))) as edge:
            if run == 0:
                get(edge, OLD_URL)
                wait_until(lambda: kept(edge) == 1, "the dictionary is on the shelf")
            assert undo_dcz(get(edge, NEW_URL, BROWSER, HAS).body, OLD) == NEW
