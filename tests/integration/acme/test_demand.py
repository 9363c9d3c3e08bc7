"""The operator's service that says which names may have a certificate."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from edgeproxy.acme.demand import ask
from tests.support.ports import free_port


class Service:
    """Answers a name's first label as a status."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/allowed?token=x"
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(int(self.path.rpartition("name=")[2].partition(".")[0]))
                self.send_header("location", "/elsewhere?name=200.example")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def test_200_allows_a_name_and_nothing_else_does(service: Service) -> None:
    assert ask(service.url, "200.example")
    for status in (204, 302, 403, 404, 500):
        assert not ask(service.url, f"{status}.example")
    assert service.asked[0] == "/allowed?token=x&name=200.example"
    assert not any("elsewhere" in path for path in service.asked)


def test_a_service_that_is_away_allows_nothing() -> None:
    assert not ask(f"http://127.0.0.1:{free_port()}/", "200.example")
