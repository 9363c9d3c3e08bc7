"""nginx and the real `edgeproxy run`, each a child process with its own files and free ports."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.ports import accepts, end_process, free_port, wait_until

# The edgeproxy that is run: the one of this environment, or another build.
PROGRAM = os.environ.get("EDGEPROXY") or str(Path(sys.executable).with_name("edgeproxy"))


class NginxServer:
    """Debian's nginx with ``http`` as the text inside its http block; one process, ended by pid.

    ``{port}`` in the text is replaced by a free port, which is :attr:`port`.
    """

    def __init__(self, http: str, *, main: str = "") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = tempfile.TemporaryDirectory(prefix="nginx-")
        self.prefix = Path(self._folder.name)
        temporary = "\n".join(
            f"{kind}_temp_path {self.prefix}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.prefix / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\n"
            f"pid {self.prefix}/nginx.pid;\nerror_log {self.prefix}/error.log notice;\n"
            f"{main}\nevents {{ worker_connections 4096; }}\nhttp {{\naccess_log off;\n{temporary}\n"
            f"{http.replace('{port}', str(self.port))}\n}}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", str(self.prefix), "-c", "nginx.conf", "-e", "error.log"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(self._ready, "nginx listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end_process(self._process)
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL. Entered again, it listens on the same port."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        return (self.prefix / "error.log").read_text()

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"nginx ended:\n{self.log()}")
        return accepts(self.port)


class EdgeProcess:
    """`edgeproxy run -c FILE` as operators run it; use it as a context manager.

    ``config`` is the file's content as a dict; a listener and an admin address on free ports are put in where it has
    none. Ready (admin `/readyz`) on entry, within ``patience`` seconds; SIGTERM, then SIGKILL on exit.
    """

    def __init__(
        self, config: dict[str, Any], *, environment: dict[str, str] | None = None, patience: float = 60.0
    ) -> None:
        self.port = free_port()
        self.admin_port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_url = f"http://127.0.0.1:{self.admin_port}"
        self._folder = tempfile.TemporaryDirectory(prefix="edgeproxy-")
        self.folder = Path(self._folder.name)
        self.file = self.folder / "edgeproxy.yaml"
        self._log = self.folder / "log"
        self._environment = environment
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self.write(config)

    def write(self, config: dict[str, Any]) -> None:
        """Write the configuration file anew; :meth:`reload` makes the proxy read it."""
        whole = {"listeners": [{"address": f"127.0.0.1:{self.port}"}], "admin": {}, **config}
        if isinstance(whole["admin"], dict):
            whole["admin"] = {"address": f"127.0.0.1:{self.admin_port}", **whole["admin"]}
        self.file.write_text(yaml.safe_dump(whole, sort_keys=False))

    def __enter__(self) -> Self:
        command = [PROGRAM, "run", "-c", str(self.file)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self._environment
            )
        try:
            wait_until(self._ready, "the proxy is ready", self._patience)
        except BaseException as error:
            error.add_note(self.logs())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            end_process(self._process)
        self._folder.cleanup()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def pid(self) -> int:
        """The supervisor's pid; the workers are its children."""
        return self.process.pid

    def worker_pids(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children]

    def resident(self) -> int:
        """Resident memory of supervisor and workers together, in bytes."""
        return sum(resident(pid) for pid in (self.pid, *self.worker_pids()))

    def logs(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def admin(self, path: str, method: str = "GET", order: Any = None) -> tuple[int, bytes]:
        """Ask the admin listener, with an order as JSON if there is one: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        try:
            body = None if order is None else json.dumps(order)
            connection.request(method, path, body, {} if body is None else {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def admin_json(self, path: str) -> Any:
        return json.loads(self.admin(path)[1])

    def stop(self, grace: float = 10.0) -> int:
        """SIGTERM, then SIGKILL; returns the exit code."""
        return end_process(self.process, grace)

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"edgeproxy ended with {self.process.returncode}")
        try:
            return self.admin("/readyz")[0] == 200
        except OSError:
            return False


def resident(pid: int) -> int:
    """A process's resident memory in bytes (VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
