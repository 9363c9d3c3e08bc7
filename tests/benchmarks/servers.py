"""The servers measured, each started from its file in configs/, pinned to a core, watched through /proc."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.benchmarks import proc
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.heads import HOST
from tests.support.certificates import Authority

CONFIGS = Path(__file__).with_name("configs")
SERVER_CORE = "0"
ORIGIN_CORE = "1"
START_SECONDS = 20.0
# The edgeproxy measured: the one of this environment, or another build.
EDGEPROXY = os.environ.get("EDGEPROXY") or str(Path(sys.executable).with_name("edgeproxy"))
STOP_SECONDS = 10.0
# Varnish logs through shared memory. At the default of 80 MB varnishncsa, on the same full core, loses most lines.
VSL_SPACE = "2g"
ETAG = "5f3c-6183a1b2c4d80"


class Template(string.Template):
    """``@{name}``: the configuration files use ``$`` themselves."""

    delimiter = "@"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, read whole."""

    status: int
    fields: Mapping[str, str]
    body: bytes


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """One server under test: a context manager, running inside the ``with``."""

    name: ClassVar[str]
    config: ClassVar[str]

    def __init__(self, work: Path, *, origin_port: int = 0, workers: int = 1, core: str = SERVER_CORE) -> None:
        self.work = work
        self.origin_port = origin_port
        self.workers = workers
        self.core = core
        self.port = free_port()
        self.tls_port = free_port()
        self.log = work / f"{self.name}-{workers}-access.log"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __repr__(self) -> str:
        return f"<{self.name} on {self.port}, core {self.core}, {', '.join(self.processes) or 'stopped'}>"

    def commands(self, config: Path) -> dict[str, list[str]]:
        """What to start, in order, by the name its CPU time is reported under."""
        raise NotImplementedError

    def values(self) -> dict[str, object]:
        """What the configuration file's ``@{names}`` stand for."""
        return {
            "work": self.work,
            "port": self.port,
            "origin_port": self.origin_port,
            "workers": self.workers,
            "log": self.log,
            "user_line": "user root;" if os.geteuid() == 0 else "",
            "tls_listener": "",
        }

    @staticmethod
    def verdict(fields: Mapping[str, str]) -> str:
        """``hit`` or ``miss``: what the server says its cache did."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        text = Template((CONFIGS / self.config).read_text()).substitute(self.values())
        config = self.work / f"{self.name}-{self.workers}{Path(self.config).suffix}"
        config.write_text(text)
        try:
            for name, command in self.commands(config).items():
                with (self.work / f"{name}.out").open("ab") as output:
                    self.processes[name] = subprocess.Popen(
                        ["taskset", "-c", self.core, *command], stdout=output, stderr=output, stdin=subprocess.DEVNULL
                    )
                self._await_start(name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End what was started, the last first; what does not end in time is killed with its descendants."""
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                for stat in proc.tree(proc.read_stats(), process.pid):
                    os.kill(stat.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    def _await_start(self, name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                break
            try:
                self.get("/1k/ready")
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            else:
                return
        said = (self.work / f"{name}.out").read_text(errors="replace")[-2000:]
        raise BenchmarkError(f"{name} does not answer on port {self.port}:\n{said}")

    def get(self, path: str, fields: Mapping[str, str] | None = None) -> Answer:
        """One GET on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers=dict(fields or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time so far, of each started process with its descendants."""
        return {name: proc.cpu_seconds(process.pid) for name, process in self.processes.items()}

    def memory_kib(self, field: str) -> int:
        """``VmRSS`` or ``VmHWM`` of all processes."""
        return sum(proc.memory_kib(process.pid, field) for process in self.processes.values())

    def reset_memory_peak(self) -> None:
        """Let ``VmHWM`` start from what is resident now."""
        for process in self.processes.values():
            proc.reset_memory_peak(process.pid)

    def clear_log(self) -> None:
        """Empty the access log; every server here appends."""
        if self.log.exists():
            os.truncate(self.log, 0)

    def log_lines(self) -> int:
        """Lines in the access log now."""
        if not self.log.exists():
            return 0
        with self.log.open("rb") as log:
            return sum(block.count(b"\n") for block in iter(lambda: log.read(1 << 20), b""))


class Edgeproxy(Server):
    """This project: supervisor and workers, through its own command."""

    name = "edgeproxy"
    config = "edgeproxy.yaml"

    def commands(self, config: Path) -> dict[str, list[str]]:
        return {"edgeproxy": [EDGEPROXY, "run", "-c", str(config)]}

    def __init__(self, work: Path, *, origin_port: int = 0, workers: int = 1, core: str = SERVER_CORE) -> None:
        super().__init__(work, origin_port=origin_port, workers=workers, core=core)
        self.admin_port = free_port()

    def values(self) -> dict[str, object]:
        return super().values() | {"admin_port": self.admin_port, "cache": "{memory: 256MB}", "images": "off"}

    @staticmethod
    def verdict(fields: Mapping[str, str]) -> str:
        return "hit" if "hit" in _said(fields) else "miss"


class EdgeproxyDisk(Edgeproxy):
    """The same with nothing in memory: every hit is one on disk, or it counts as none."""

    name = "edgeproxy-disk"

    def values(self) -> dict[str, object]:
        disk = self.work / f"{self.name}-{self.workers}-l2"
        return super().values() | {"cache": f'{{memory: 0, disk: {{path: "{disk}", size: 256MB}}}}'}

    @staticmethod
    def verdict(fields: Mapping[str, str]) -> str:
        return "hit" if {"hit", "detail=l2"} <= set(_said(fields)) else "miss"


class EdgeproxyBetter(Edgeproxy):
    """The same with all its time for better copies, and of whatever is asked for again."""

    name = "edgeproxy-better"

    def values(self) -> dict[str, object]:
        return super().values() | {"cache": "{memory: 256MB, improve: {share: 100%, hits: 1}}"}

    def waiting(self) -> int:
        """Kept answers that a better copy may still be made of."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(int(float(line.split()[1])) for line in lines if line.startswith("edgeproxy_improvements_waiting "))


class EdgeproxyPictures(EdgeproxyBetter):
    """The same, giving each browser pictures in the format it reads best."""

    name = "edgeproxy-pictures"

    def values(self) -> dict[str, object]:
        return super().values() | {"images": "{auto: true}"}


class EdgeproxyPlain(Edgeproxy):
    """The same with the same stages, which choose no variant of what it is asked for."""

    name = "edgeproxy-plain"

    def values(self) -> dict[str, object]:
        return super().values() | {"images": "{auto: true, extensions: [jpg]}"}


class EdgeproxyTls(Edgeproxy):
    """The same with a second listener, as it comes: TLS 1.3, HTTP/2."""

    name = "edgeproxy-tls"

    def values(self) -> dict[str, object]:
        pair = f'certificate: "{self.work}/tls.pem", key: "{self.work}/tls.key"'
        listener = f'{{address: "127.0.0.1:{self.tls_port}", tls: {{certificates: [{{{pair}}}]}}}}'
        return super().values() | {"tls_listener": f"  - {listener}"}


class Nginx(Server):
    """nginx: a master, the workers, the cache manager."""

    name = "nginx"
    config = "nginx.conf"

    def commands(self, config: Path) -> dict[str, list[str]]:
        return {self.name: [binary("nginx"), "-p", str(self.work), "-c", str(config)]}

    @staticmethod
    def verdict(fields: Mapping[str, str]) -> str:
        return "hit" if fields.get("x-cache-status") == "HIT" else "miss"


class NginxTls(Nginx):
    """The same with a second listener: TLS 1.3, HTTP/2."""

    name = "nginx-tls"

    def values(self) -> dict[str, object]:
        lines = (
            f"listen 127.0.0.1:{self.tls_port} ssl http2 backlog=4096 reuseport",
            f"ssl_certificate {self.work}/tls.pem",
            f"ssl_certificate_key {self.work}/tls.key",
            "ssl_protocols TLSv1.3",
        )
        return super().values() | {"tls_listener": "".join([f"{line};\n        " for line in lines])}


class Varnish(Server):
    """Varnish, with varnishncsa writing the access log every other server writes too."""

    name = "varnish"
    config = "varnish.vcl"

    def commands(self, config: Path) -> dict[str, list[str]]:
        state = self.work / "varnish-state"
        return {
            "varnishd": [
                binary("varnishd"), "-F", "-j", "none", "-n", str(state), "-f", str(config),
                "-a", f"127.0.0.1:{self.port}", "-T", "none", "-s", "malloc,256m",
                "-p", "thread_pools=1", "-p", "timeout_idle=300", "-p", f"vsl_space={VSL_SPACE}",
            ],
            "varnishncsa": [binary("varnishncsa"), "-n", str(state), "-a", "-w", str(self.log), "-t", "10"],
        }  # fmt: skip

    @staticmethod
    def verdict(fields: Mapping[str, str]) -> str:
        # Two transaction ids: this request's and the one that filled the cache.
        return "hit" if len(fields.get("x-varnish", "").split()) == 2 else "miss"


class OriginServer(Server):
    """What every server fetches from: nginx with fixed bodies."""

    name = "origin"
    config = "origin.conf"

    def __init__(self, work: Path, body_1k: bytes) -> None:
        super().__init__(work, core=ORIGIN_CORE)
        self.body_1k = body_1k

    def commands(self, config: Path) -> dict[str, list[str]]:
        return {self.name: [binary("nginx"), "-p", str(self.work), "-c", str(config)]}

    def values(self) -> dict[str, object]:
        return super().values() | {"etag": ETAG, "body_1k": self.body_1k.decode("ascii")}

    def requests(self) -> int:
        """Requests served so far, this question included (stub_status's third number)."""
        return int(self.get("/requests").body.split(b"\n")[2].split()[2])


def certificate(work: Path) -> None:
    """A certificate with an ECDSA key for all servers: tls.pem and tls.key."""
    Authority(work).issue(HOST, file="tls")


def _said(fields: Mapping[str, str]) -> list[str]:
    """What edgeproxy says of its cache: one cache, one member (RFC 9211 §2), ``edgeproxy; hit; ttl=300``."""
    return [part.strip() for part in fields.get("cache-status", "").split(";")][1:]


def binary(name: str) -> str:
    """Where a command is. Raises BenchmarkError."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise BenchmarkError(f"{name} is not installed")
    return found
