"""Feeds in a running node: fetched by one worker for all, kept over a restart and while the source is away."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port
from tests.support.servers import EdgeProcess, RecordingOrigin, wait_until

LISTED, OTHER = "203.0.113.7", "198.51.100.7"
DROP = b'{"cidr":"203.0.113.0/24","sblid":"SBL1","rir":"arin"}\n{"type":"metadata","records":1}\n'


class Source:
    """A publisher in its own thread, which can be away and come back at its port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answered: list[int] = []
        self._server: ThreadingHTTPServer | None = None

    def open(self) -> None:
        answered = self.answered

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("if-none-match") == '"v1"'
                answered.append(304 if known else 200)
                self.send_response(answered[-1])
                self.send_header("etag", '"v1"')
                self.send_header("content-length", "0" if known else str(len(DROP)))
                self.end_headers()
                if not known:
                    self.wfile.write(DROP)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    yield source
    source.close()


@pytest.fixture
def origin() -> Iterator[RecordingOrigin]:
    with RecordingOrigin() as origin:
        yield origin


def settings(origin: RecordingOrigin, source: Source, folder: Path, **feed: Any) -> dict[str, Any]:
    return {
        "workers": 2,
        "middleware": {
            "client_address": {"trusted": "127.0.0.1"},
            "reputation": {
                "feeds": [{"name": "drop", "url": f"http://127.0.0.1:{source.port}/drop.json", **feed}],
                "folder": str(folder),
            },
            "access_rules": {"rules": [{"deny": {"feed": "drop", "path": "/login"}}]},
        },
        "pools": {"site": {"endpoints": [origin.url]}},
        "routes": [{"name": "site", "pool": "site"}],
    }


def ask(edge: EdgeProcess, client: str, path: str = "/") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=5)
    try:
        connection.request("GET", path, headers={"x-forwarded-for": client})
        return connection.getresponse().status
    finally:
        connection.close()


def statuses(edge: EdgeProcess, client: str) -> set[int]:
    """Of connections enough to meet both workers."""
    return {ask(edge, client) for _ in range(12)}


def test_who_is_in_a_feed_is_refused_by_all_workers_and_the_source_asked_once(
    origin: RecordingOrigin, source: Source, tmp_path: Path
) -> None:
    source.open()
    with EdgeProcess(settings(origin, source, tmp_path / "feeds")) as edge:
        wait_until(lambda: statuses(edge, LISTED) == {403}, "both workers have the list")
        assert statuses(edge, OTHER) == {200}
        metrics = edge.admin("/metrics")[1].decode()
        assert 'edgeproxy_feed_networks{feed="drop"} 1' in metrics
        assert 'edgeproxy_feed_matches_total{feed="drop"}' in metrics
        assert 'edgeproxy_refused_total{stage="reputation"}' in metrics
    assert source.answered == [200]


def test_a_restart_while_the_source_is_away_refuses_whom_it_refused_before(
    origin: RecordingOrigin, source: Source, tmp_path: Path
) -> None:
    source.open()
    with EdgeProcess(settings(origin, source, tmp_path / "feeds")) as edge:
        wait_until(lambda: statuses(edge, LISTED) == {403}, "both workers have the list")
    source.close()
    with EdgeProcess(settings(origin, source, tmp_path / "feeds")) as edge:
        assert statuses(edge, LISTED) == {403}
        assert "Traceback" not in edge.logs()


def test_a_source_that_is_away_lets_everybody_pass_until_it_comes(
    origin: RecordingOrigin, source: Source, tmp_path: Path
) -> None:
    with EdgeProcess(settings(origin, source, tmp_path / "feeds", action="tag")) as edge:
        assert ask(edge, LISTED, "/login") == 200
        wait_until(lambda: "no list yet" in edge.logs(), "it is said")
        source.open()
        wait_until(lambda: ask(edge, LISTED, "/login") == 403, "the list is there", 30)
        assert ask(edge, LISTED) == 200
        assert ask(edge, OTHER, "/login") == 200
