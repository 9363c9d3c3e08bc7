"""``edgeproxy purge`` and the admin listener it asks."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


class Admin(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = self.path == "/purge" and asked == {"url": "http://a.example/"}
        answer = b'{"purged": 2}' if known else b'{"error": "no absolute URL"}'
        self.send_response(200 if known else 400)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def admin() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Admin) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_purge_asks_the_admin_listener(admin: str) -> None:
    result = call("purge", "http://a.example/", "--admin", admin)
    assert (result.exit_code, result.stdout) == (0, '{"purged": 2}\n')


def test_purge_that_is_refused_fails(admin: str) -> None:
    result = call("purge", "nonsense", "--admin", admin)
    assert (result.exit_code, result.stderr) == (1, '{"error": "no absolute URL"}\n')


def test_purge_without_a_node_says_so(tmp_path: Path) -> None:
    result = call("purge", "http://a.example/", "--admin", f"unix:{tmp_path}/none")
    assert result.exit_code == 1
    assert "is edgeproxy running?" in result.stderr
