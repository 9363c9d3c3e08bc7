"""A confined process that does what its jobs say, a letter each: python -m tests.support.confined_echo N MEMORY."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from edgeproxy.confined.inside import confine, limit_time, receive, say_ready, seal


def _opens() -> None:
    Path("/dev/null").open("rb").close()


def _takes() -> None:
    bytearray(2 << 30)


def _burns() -> None:
    limit_time(0)
    while True:
        pass


JOBS: dict[bytes, Callable[[], object]] = {
    b"e": lambda: None,
    b"o": _opens,
    b"c": lambda: socket.socket().close(),
    b"t": lambda: threading.Thread(target=int).start(),
    b"f": os.fork,
    b"m": _takes,
    b"b": _burns,
}


def main(descriptor: int, memory: int) -> None:
    link = socket.socket(fileno=descriptor)
    confine(memory, 1)
    seal(threads=False)
    say_ready(link)
    while (job := receive(link, 1)) is not None:
        try:
            JOBS[job]()
            said = b"+"
        except (OSError, MemoryError, RuntimeError):
            said = b"-"
        link.sendall(said)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
