"""A front of pebble's that knows renewal information (RFC 9773), which Debian's does not yet."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.support.certificates import Authority
from tests.support.pebble import Pebble


class RenewalInformed:
    """A context manager. ``orders`` are the payloads of the orders that came; ``refusal``: status and ACME error code
    for one that says what it replaces; ``known``: whether the directory says that renewal information is had."""

    def __init__(self, pebble: Pebble, folder: Path) -> None:
        authority = Authority(folder, "front-ca")
        own = authority.issue("localhost")
        self.ca = authority.file
        self.orders: list[dict[str, Any]] = []
        self.refusal: tuple[int, str] | None = None
        self.known = True
        front = self
        upstream = ssl.create_default_context(cafile=str(pebble.ca))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._pass_on(b"")

            do_HEAD = do_GET

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                payload = json.loads(body)["payload"]
                said = json.loads(base64.urlsafe_b64decode(payload + "==") or b"null")
                if isinstance(said, dict) and "identifiers" in said:
                    front.orders.append(said)
                    if front.refusal is not None and "replaces" in said:
                        status, code = front.refusal
                        told = {"type": f"urn:ietf:params:acme:error:{code}", "detail": "replaces"}
                        self._answer(status, [("Content-Type", "application/problem+json")], json.dumps(told).encode())
                        return
                self._pass_on(body)

            def _pass_on(self, body: bytes) -> None:
                connection = http.client.HTTPSConnection("localhost", pebble.port, timeout=30, context=upstream)
                connection.request(self.command, self.path, body or None, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
                if self.path == "/dir" and front.known:
                    content = json.dumps(json.loads(content) | {"renewalInfo": f"{front.url}/ari"}).encode()
                self._answer(answer.status, answer.getheaders(), content)
                connection.close()

            def _answer(self, status: int, fields: list[tuple[str, str]], content: bytes) -> None:
                self.send_response_only(status)
                for name, value in fields:
                    if name.lower() not in {"content-length", "transfer-encoding"}:
                        self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"https://localhost:{self._server.server_address[1]}"
        self.directory = f"{self.url}/dir"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate, own.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
