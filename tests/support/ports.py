"""Loopback ports and waiting for what listens on them."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def free_port() -> int:
    """A TCP port nobody listens on now, below those the kernel gives to outgoing connections: the load of another test
    cannot take it before it is used."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 10.0) -> None:
    """Poll ``condition`` until it holds; raises TimeoutError naming ``what`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {timeout:g} s")
        time.sleep(0.02)  # who asks a proxy more often than 50 times a second may look like a flood


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def queued(*ports: int) -> int:
    """Bytes that wait in the kernel on IPv4 connections from or to these ports, at both ends: not acknowledged, or not
    read. How much that may be, the kernel decides as it sees the machine's memory and the connection's speed."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    wanted = {f"{port:04X}" for port in ports}
    ends = [row for row in rows if not wanted.isdisjoint((row[1][-4:], row[2][-4:]))]
    return sum(int(size, 16) for row in ends for size in row[4].split(":"))


def end_process(process: subprocess.Popen[bytes], grace: float = 10.0) -> int:
    """SIGTERM, then SIGKILL after ``grace`` seconds; returns the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            return process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
