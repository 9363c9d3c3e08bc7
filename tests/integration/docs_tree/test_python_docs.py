"""An unmodified nginx serves Debian's Python documentation; through the proxy every file is the same to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from tests.support.fetching import CODINGS, Fetched, fetch, wire_session
from tests.support.processes import EdgeProcess, NginxServer

TREE = Path("/usr/share/doc/python3-doc/html")
AT_ONCE = 8
LIMIT = 240.0  # seconds for a walk through the whole tree


@pytest.fixture(scope="module")
def paths() -> list[str]:
    """Every file of the tree as a path on the server, and the tree itself."""
    if not TREE.is_dir():
        pytest.fail("Debian's python3-doc is not installed")
    root = TREE.resolve()
    files = sorted(file for file in root.rglob("*") if file.is_file())
    assert len(files) > 500
    return ["/", *("/" + quote(str(file.relative_to(root))) for file in files)]


@pytest.fixture(scope="module")
def nginx() -> Iterator[NginxServer]:
    server = f"include /etc/nginx/mime.types; server {{ listen 127.0.0.1:{{port}}; root {TREE.resolve()}; }}"
    with NginxServer(server) as running:
        yield running


@pytest.fixture(scope="module")
def edge(nginx: NginxServer) -> Iterator[EdgeProcess]:
    config = {
        "cache": {"memory": "400MB"},
        "middleware": {"rate_limit": False},
        "pools": {"docs": {"endpoints": [nginx.url]}},
        "routes": [{"name": "docs", "match": {"path": "/"}, "pool": "docs"}],
        "log": {"access": {"file": "stdout"}},
    }
    with EdgeProcess(config) as process:
        yield process


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with wire_session() as opened:
        yield opened


async def each(session: aiohttp.ClientSession, base: str, paths: list[str], **fields: str) -> dict[str, Fetched]:
    """All of them, a few at once. Raises TimeoutError."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(path: str) -> tuple[str, Fetched]:
        async with gate:
            return path, await fetch(session, base + path, **fields)

    async with asyncio.timeout(LIMIT):
        return dict(await asyncio.gather(*(one(path) for path in paths)))


async def test_every_file_is_byte_identical_without_and_with_the_cache(
    session: aiohttp.ClientSession, nginx: NginxServer, edge: EdgeProcess, paths: list[str]
) -> None:
    origin = await each(session, nginx.url, paths, accept_encoding="identity")
    missed = await each(session, edge.url, paths, accept_encoding="identity")
    stored = await each(session, edge.url, paths, accept_encoding="identity")
    for path in paths:
        assert origin[path].status == 200
        for answer in (missed[path], stored[path]):
            assert answer.status == 200, path
            assert answer.body == origin[path].body, path
            for name in ("content-type", "last-modified", "etag"):
                assert answer.fields.get(name) == origin[path].fields.get(name), f"{name} of {path}"
        assert not missed[path].hit, path
        assert stored[path].hit, path


@pytest.mark.parametrize("coding", [coding for coding in CODINGS if coding != "identity"])
async def test_every_file_decodes_to_the_same_bytes(
    session: aiohttp.ClientSession, nginx: NginxServer, edge: EdgeProcess, paths: list[str], coding: str
) -> None:
    origin = await each(session, nginx.url, paths, accept_encoding="identity")
    for _ in range(2):
        answers = await each(session, edge.url, paths, accept_encoding=coding)
        wrong = [path for path in paths if answers[path].content != origin[path].body]
        assert wrong == []
        compressed = [path for path in paths if answers[path].fields.get("content-encoding") == coding]
        assert "/library/asyncio-task.html" in compressed


async def test_a_part_of_a_file_is_the_same_part(
    session: aiohttp.ClientSession, nginx: NginxServer, edge: EdgeProcess
) -> None:
    for wanted in ("bytes=0-99", "bytes=1000-1999", "bytes=-500"):
        direct = await fetch(session, f"{nginx.url}/genindex-all.html", range=wanted, accept_encoding="identity")
        answer = await fetch(session, f"{edge.url}/genindex-all.html", range=wanted, accept_encoding="identity")
        assert (answer.status, answer.body) == (206, direct.body)
        assert answer.fields["content-range"] == direct.fields["content-range"]
