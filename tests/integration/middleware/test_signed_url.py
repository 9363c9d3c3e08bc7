"""Signed URLs at a running node, made by `edgeproxy sign`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeproxy.identity.urls import Names, grant
from tests.support.client import Answer, ask
from tests.support.origin import answer
from tests.support.processes import EdgeProcess, wait_until
from tests.support.site import Site, config, request

SECRET = "a-secret-of-32-bytes-for-signing"
NAMES = Names("expires", "keyid", "signature", "folder")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/film.mp4?q=high", answer(200, b"film", b"Cache-Control: public, max-age=60"))
        site.on(b"/hls/1.ts", answer(200, b"part", b"Cache-Control: max-age=60"))
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    stage = {"secrets": {"now": SECRET}, "cookie": "pass", "unsigned": "utm_*"}
    with EdgeProcess(config(site.url, middleware={"signed_url": stage})) as edge:
        yield edge


@pytest.fixture
def get(edge: EdgeProcess) -> Callable[..., Answer]:
    return lambda target, *fields: ask(edge.address, request(target, *fields)).final[0]


def sign(edge: EdgeProcess, *arguments: str) -> bytes:
    """What the command prints, without scheme and host."""
    command = [str(Path(sys.executable).with_name("edgeproxy")), "sign", "-c", str(edge.file), *arguments]
    return subprocess.check_output(command).strip().removeprefix(b"http://a.example")


def test_a_signed_url_passes_and_the_origin_sees_a_plain_one(
    edge: EdgeProcess, get: Callable[..., Answer], site: Site
) -> None:
    site.clear()
    target = sign(edge, "http://a.example/film.mp4?q=high", "--expires", "1h")
    assert get(target).body == b"film"
    assert [seen.target for seen in site.requests] == [b"/film.mp4?q=high"]


def test_a_cached_answer_is_shared_by_links_and_for_nobody_else(
    edge: EdgeProcess, get: Callable[..., Answer], site: Site
) -> None:
    one, other = (sign(edge, "http://a.example/film.mp4?q=high", "--expires", time) for time in ("1h", "2h"))
    get(one)
    site.clear()
    hit = get(other)
    assert (hit.body, b"hit" in (hit.get(b"cache-status") or b"")) == (b"film", True)
    assert site.requests == []
    for target in (b"/film.mp4?q=high", one[:-1], one.replace(b"q=high", b"q=low"), one.replace(b"film", b"other")):
        refused = get(target)
        assert (refused.status, refused.get(b"cache-control")) == (403, b"no-store")
    assert site.requests == []


def test_an_expired_link_is_told_so(get: Callable[..., Answer]) -> None:
    past = int(time.time()) - 60
    target = b"/film.mp4?" + grant(SECRET.encode(), NAMES, "now", b"/film.mp4", b"", past, b"", folder=False).encode()
    refused = get(target)
    assert (refused.status, refused.body) == (403, b"403 This link has expired.\n")


def test_a_folders_cookie_lets_a_player_in_to_all_of_it(
    edge: EdgeProcess, get: Callable[..., Answer], site: Site
) -> None:
    site.clear()
    cookie = b"Cookie: a=1; pass=" + sign(edge, "http://a.example/hls/", "--folder", "--cookie")
    for _ in range(2):
        assert get(b"/hls/1.ts", cookie).body == b"part"
    (seen,) = site.requests
    assert seen.get(b"cookie") == b"a=1"
    assert get(b"/hls/1.ts").status == 403
    assert get(b"/film.mp4?q=high", cookie).status == 403
    assert get(b"/hls/../film.mp4?q=high", cookie).status == 403
    assert get(b"/hls/..%2ffilm.mp4?q=high", cookie).status == 403


def test_neither_secret_nor_signature_is_in_any_log(edge: EdgeProcess, get: Callable[..., Answer]) -> None:
    target = sign(edge, "http://a.example/logged", "--expires", "1h")
    assert get(target).status == 200
    wait_until(lambda: '"target":"/logged"' in edge.logs(), "the access log is written")
    assert target[-64:].decode() not in edge.logs()
    assert "signature=" not in edge.logs()
    assert SECRET not in edge.logs()
    assert "Traceback" not in edge.logs()
