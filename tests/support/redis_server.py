"""Debian's redis-server, a child process on a free port that can be stopped and started again."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import redis

from tests.support.ports import accepts, end_process, free_port, wait_until


class RedisServer:
    """A context manager. It keeps nothing over a restart unless ``options`` say so. ``sentinel``: it is a Sentinel
    instead, of the master its file ``config`` names. ``tls``: options that make ``port`` speak TLS alone.
    """

    def __init__(
        self, *options: str, password: str | None = None, sentinel: Path | None = None, tls: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        self._password = password
        self._sentinel = sentinel
        self._tls = tls
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def client(self) -> redis.Redis:
        """A client of the test's own."""
        return redis.Redis(port=self.port, password=self._password)

    def start(self) -> None:
        """Start it, again or for the first time; the port stays the same."""
        command = ["redis-server", *([str(self._sentinel), "--sentinel"] if self._sentinel else [])]
        command += ["--bind", "127.0.0.1", "--dir", self._folder.name]
        command += (
            ["--port", "0", "--tls-port", str(self.port), *self._tls] if self._tls else ["--port", str(self.port)]
        )
        command += [] if self._sentinel else ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*command, *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "redis answers")

    def stop(self) -> None:
        """End it at once; connections are reset."""
        if self._process is not None:
            self.go_on()
            self._process.kill()
            end_process(self._process)
            self._process = None

    def hold(self) -> None:
        """Have it keep connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"redis-server ended with {self._process.returncode}")
        if self._tls:
            return accepts(self.port)
        try:
            with self.client as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
