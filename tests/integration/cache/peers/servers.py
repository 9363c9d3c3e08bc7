"""This proxy, nginx and Varnish, each in front of its own copy of one scripted origin."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.integration.cache.peers.oracle import MULTIPART, forms
from tests.integration.cache.peers.steps import Sequence, Step, as_headers, heard, written
from tests.support.client import ask
from tests.support.origin import RecordedRequest, RecordingOrigin, Script
from tests.support.ports import accepts, end_process, free_port, wait_until
from tests.support.processes import EdgeProcess, NginxServer
from tests.support.site import config

NAMES = ("edgeproxy", "nginx", "varnish")

NGINX = """
    proxy_cache_path {folder}/cache levels=1 keys_zone=pages:8m use_temp_path=off;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 16; }}
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{{port}};
        location / {{
            proxy_cache pages;
            proxy_cache_key $host$request_uri;
            proxy_cache_revalidate on;
            proxy_cache_background_update on;
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
        }}
    }}
"""

VCL = 'vcl 4.1;\nbackend default {{ .host = "127.0.0.1"; .port = "{origin}"; }}\n'
# Its own 10 s of grace and 120 s of lifetime for what says nothing would only blur what it makes of what is said.
PARAMETERS = ("default_grace=0", "default_ttl=0", "default_keep=3600", "http_gzip_support=off", "thread_pool_min=5")


class VarnishServer:
    """Debian's Varnish with its built-in VCL in front of a port; ended by pid."""

    def __init__(self, origin: int) -> None:
        self.port = free_port()
        self._origin = origin
        self._folder = tempfile.TemporaryDirectory(prefix="varnish-")

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        (folder / "edge.vcl").write_text(VCL.format(origin=self._origin))
        parameters = [word for parameter in PARAMETERS for word in ("-p", parameter)]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("/usr/sbin/varnishd", "-F", "-j", "none", "-T", "none", "-s", "malloc,64m", *parameters),
                    *("-n", str(folder / "state"), "-f", str(folder / "edge.vcl"), "-a", f"127.0.0.1:{self.port}"),
                ],
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(lambda: accepts(self.port), "Varnish listens", 30)
        except BaseException as error:
            error.add_note((folder / "log").read_text(errors="replace"))
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        end_process(self._process)
        self._folder.cleanup()


class Origin(RecordingOrigin):
    """Says what the sequence says that a request belongs to: its path is ``/SEQUENCE/URL``."""

    def __init__(self) -> None:
        super().__init__(self._say)
        self.sequence = Sequence((), ())
        self.whole: set[int] = set()
        """Steps in which it sent the whole, or a part of it, and not only a 304."""

    def _say(self, request: RecordedRequest) -> Script:
        asked = heard(request)
        number = int(asked.get("X-Step"))
        status, body = forms(self.sequence, number, asked, asked, exact=True)[0]
        fields = self.sequence.fields(number, asked)
        if body == MULTIPART or status == 416:  # an origin need not know what a Range is
            status, body = 200, self.sequence.body(number, asked)
        if status == 206:
            whole = self.sequence.body(number, asked)
            first = whole.index(body)
            fields["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{len(whole)}"
        if status != 304:
            self.whole.add(number)
        if status not in {204, 304}:
            length = len(self.sequence.body(number, asked)) if asked.method == "HEAD" else len(body)
            fields["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Seen:
    """What came of one step at one server: the client's answer, the step whose answer of the origin it is as far as it
    says so, and whether the origin was asked in this step."""

    status: int
    body: bytes
    origin: int | None
    asked: bool = field(default=False)

    def __repr__(self) -> str:
        made = "by nobody" if self.origin is None else f"in step {self.origin}"
        return f"{self.status} {self.body!r} made {made}{', origin asked' if self.asked else ''}"


class Server:
    """One of the three with its origin."""

    def __init__(self, name: str, port: int, origin: Origin) -> None:
        self.name = name
        self.origin = origin
        self._address = ("127.0.0.1", port)

    def run(self, sequence: Sequence, run: int) -> list[Seen]:
        """What comes of the steps, one after the other, at URLs of their own."""
        self.origin.clear()
        self.origin.whole.clear()
        self.origin.sequence = sequence
        seen = [self._ask(written(sequence, step), number, run) for number, step in enumerate(sequence.steps)]
        asked = {int(request.get(b"x-step") or b"-1") for request in self.origin.requests}
        for number, one in enumerate(seen):
            one.asked = number in asked
        return seen

    def _ask(self, step: Step, number: int, run: int) -> Seen:
        fields = {b"host": b"a.example", b"x-step": b"%d" % number, **as_headers(step)}
        lines = [b"%b /%d/%d HTTP/1.1" % (step.method.encode(), run, step.url)]
        lines += [b"%b: %b" % pair for pair in fields.items()]
        if step.method in {"POST", "PUT"}:
            lines.append(b"content-length: 0")
        answers = ask(self._address, b"\r\n".join([*lines, b"", b""]))
        assert answers.final, f"{self.name} did not answer {lines}: {answers.rest!r}"
        answer = answers.final[0]
        told = answer.get(b"x-origin")
        kind = answer.get(b"content-type") or b""
        body = MULTIPART if kind.startswith(b"multipart/byteranges") else answer.body
        if answer.status in {416, 504}:
            body = b""  # whatever a server finds to say
        return Seen(answer.status, body, None if told is None else int(told))


class Three:
    """All three; sequences get URLs nobody has asked for."""

    def __init__(self, servers: list[Server], pool: ThreadPoolExecutor) -> None:
        self._servers = servers
        self._pool = pool
        self._runs = itertools.count()

    def run(self, sequence: Sequence) -> dict[str, list[Seen]]:
        """What came of each step, by server."""
        run = next(self._runs)
        found = self._pool.map(lambda server: server.run(sequence, run), self._servers)
        return {server.name: seen for server, seen in zip(self._servers, found, strict=True)}


@contextmanager
def three() -> Iterator[Three]:
    """The servers, running."""
    with ExitStack() as running:
        origins = [running.enter_context(Origin()) for _ in NAMES]
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="nginx-cache-"))
        Path(folder).chmod(0o777)
        stages = {"bot_check": False, "rate_limit": False, "compression": False}
        pools = {"site": {"endpoints": [origins[0].url], "outlier": False, "retry": False}}
        edge = running.enter_context(
            EdgeProcess(config(origins[0].url, middleware=stages, log={"access": False}) | {"pools": pools})
        )
        nginx = running.enter_context(NginxServer(NGINX.format(origin=origins[1].port, folder=folder)))
        varnish = running.enter_context(VarnishServer(origins[2].port))
        ports = (edge.port, nginx.port, varnish.port)
        servers = [Server(*row) for row in zip(NAMES, ports, origins, strict=True)]
        yield Three(servers, running.enter_context(ThreadPoolExecutor(len(NAMES))))
