"""The servers of pictures, and the origin they all take the originals from."""

from __future__ import annotations

import http.client
import shutil
import time
from pathlib import Path
from typing import ClassVar

from edgeproxy.identity.urls import Names, grant
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.images import peers
from tests.benchmarks.servers import EDGEPROXY, ORIGIN_CORE, Nginx, Server, free_port

WIDTH = 800
_PATIENCE = 120.0  # seconds for one picture
_PREFIX = "/cdn-cgi/image/"
_SECRET = "a secret of the benchmark's own, 32 bytes and more"


class Pictures(Server):
    """A server that makes variants, asked for by URL."""

    label: ClassVar[str]

    def target(self, name: str, form: str, quality: int = 0) -> str:
        """Where the origin's ``name`` is to be had :data:`WIDTH` pixels wide; quality 0 is the server's own choice."""
        raise NotImplementedError

    def ask(self, name: str, form: str, quality: int = 0) -> bytes:
        """A variant. Raises BenchmarkError for any answer that is not one."""
        path = self.target(name, form, quality)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            connection.request("GET", path, headers={"Accept": f"image/{form}"})
            answer = connection.getresponse()
            kind, body = answer.getheader("content-type", ""), answer.read()
        except OSError as error:
            raise BenchmarkError(f"{self.label} did not answer {path}: {error}") from None
        finally:
            connection.close()
        if answer.status != 200 or kind != f"image/{form}":
            why = body[:200] if kind.startswith("text/") else f"{len(body)} bytes"
            raise BenchmarkError(f"{self.label} answered {path} with {answer.status}, {kind or 'no type'}: {why!r}")
        return body


class EdgeproxyPictures(Pictures):
    """This project, with nothing kept: every answer is made from the origin's bytes."""

    name = label = "edgeproxy"
    config = "images-edgeproxy.yaml"
    hurry = "on"

    def commands(self, config: Path) -> dict[str, list[str]]:
        return {self.name: [EDGEPROXY, "run", "-c", str(config)]}

    def __init__(self, work: Path, *, origin_port: int = 0) -> None:
        super().__init__(work, origin_port=origin_port)
        names, expires = Names("expires", "keyid", "signature", "folder"), int(time.time()) + 86_400
        self._grant = grant(_SECRET.encode(), names, "bench", _PREFIX.encode(), b"", expires, b"", folder=True)

    def values(self) -> dict[str, object]:
        return super().values() | {"admin_port": free_port(), "secret": _SECRET, "hurry": self.hurry}

    def target(self, name: str, form: str, quality: int = 0) -> str:
        chosen = f",quality={quality}" if quality else ""
        return f"{_PREFIX}width={WIDTH},format={form}{chosen}/{name}?{self._grant}"


class EdgeproxyUnhurried(EdgeproxyPictures):
    """The same, making at once what is otherwise made in the background: the better copies."""

    name = "edgeproxy-unhurried"
    hurry = "off"


class Thumbor(Pictures):
    """thumbor, one process, with no storage of results or originals."""

    name = "thumbor"
    label = f"thumbor {peers.THUMBOR}"
    config = "images-thumbor.conf"

    def commands(self, config: Path) -> dict[str, list[str]]:
        binary = str(peers.thumbor_binary(self.work))
        return {self.name: [binary, "-i", "127.0.0.1", "-p", str(self.port), "-c", str(config), "-l", "ERROR"]}

    def target(self, name: str, form: str, quality: int = 0) -> str:
        chosen = f":quality({quality})" if quality else ""
        return f"/unsafe/{WIDTH}x0/filters:format({form}){chosen}/http%3A//127.0.0.1%3A{self.origin_port}/{name}"


class Ipx(Pictures):
    """ipx on sharp, one Node process."""

    name = "ipx"
    label = f"ipx {peers.IPX}"
    config = "images-ipx.mjs"

    def commands(self, config: Path) -> dict[str, list[str]]:
        node = shutil.which("node")
        if node is None:
            raise BenchmarkError("node is not installed")
        return {self.name: [node, str(config)]}

    def target(self, name: str, form: str, quality: int = 0) -> str:
        chosen = f",q_{quality}" if quality else ""
        return f"/f_{form},w_{WIDTH}{chosen}/http://127.0.0.1:{self.origin_port}/{name}"


class Origin(Nginx):
    """nginx with the originals, on the core of the load."""

    name = "images-origin"
    config = "images-origin.conf"

    def __init__(self, work: Path) -> None:
        super().__init__(work, core=ORIGIN_CORE)
