"""What the cases are run against: `edgeproxy run` before an origin, asked in three ways."""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.conformance.h2spec.wire import Wire
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config

NAME = "a.example"
BODY = b"A page that is long enough for small windows.\n"
WAYS = {
    "plain": "in the clear by prior knowledge, each answer from the origin",
    "kept": "in the clear, answers from the cache",
    "tls": "over TLS, answers from the cache",
}


class Server:
    """``folder``: for the certificate."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        pair = authority.issue(NAME)
        self._context = ssl.create_default_context(cafile=str(authority.file))
        self._context.set_alpn_protocols(["h2"])
        self._clear, self._secure = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
        self._listeners = [
            {"address": f"{self._clear[0]}:{self._clear[1]}", "protocols": ["h1", "h2"]},
            {
                "address": f"{self._secure[0]}:{self._secure[1]}",
                "tls": {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]},
            },
        ]
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            site = stack.enter_context(Site())
            site.on(b"/", _answer(b"no-store"))
            site.on(b"/kept", _answer(b"max-age=3600"))
            quiet = {"bot_check": False}  # nobody of these is a browser
            self._edge = stack.enter_context(EdgeProcess(config(site.url, listeners=self._listeners, middleware=quiet)))
            for way in WAYS:  # one that does not answer at all is found out here, and not by every case
                with self.connect(way) as wire:
                    wire.begin()
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def connect(self, way: str) -> Wire:
        if way == "tls":
            return Wire(self._secure, "/kept", (self._context, NAME))
        return Wire(self._clear, "/kept" if way == "kept" else "/")

    def log(self) -> str:
        return self._edge.logs()


def _answer(caching: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nCache-Control: %b\r\n\r\n%b" % (len(BODY), caching, BODY)
