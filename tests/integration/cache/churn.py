"""Answers of all sizes through a small cache, and what that makes of a worker's memory.

nginx is the origin: files from 1 KiB to 5 MB, as many of each tenfold as of the next, under URLs without end.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import EdgeProcess, NginxServer, resident

SMALLEST, LARGEST, FILES = 1024, 5_000_000, 97
CLIENTS = 8
POPULAR, POPULAR_SHARE = 200, 0.3  # URLs asked for again and again, and how often one of them is

ORIGIN = """
    types {{ }}
    default_type application/octet-stream;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{{port}};
        root {folder};
        add_header Cache-Control "max-age=3600";
    }}
"""


class Sizes(NamedTuple):
    """Resident bytes of one worker: empty, at most, at the end; and the body bytes it has passed on."""

    empty: int
    most: int
    last: int
    passed: int


def origin(folder: Path) -> NginxServer:
    """The origin, not yet started; its files lie in ``folder``."""
    for number in range(FILES):
        size = int(SMALLEST * (LARGEST / SMALLEST) ** (number / (FILES - 1)))
        (folder / f"{number}").write_bytes(os.urandom(size))
    folder.chmod(0o755)
    return NginxServer(ORIGIN.format(folder=folder), main="user root;" if os.geteuid() == 0 else "")


def churn(edge: EdgeProcess, seconds: float, every: float = 1.0) -> Sizes:
    """Ask for ``seconds`` what mostly was never asked for before, and look every so many seconds."""
    (worker,) = edge.worker_pids()
    ask(edge, ["/0?ready"] * 100)
    empty = resident(worker)
    until = time.monotonic() + seconds
    seen: list[int] = []
    over = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(_client, edge, number, over) for number in range(CLIENTS)]
        try:
            while time.monotonic() < until and not any(client.done() for client in clients):
                over.wait(every)
                seen.append(resident(worker))
        finally:
            over.set()
        passed = sum(client.result() for client in clients)
    return Sizes(empty, max(seen), seen[-1], passed)


def ask(edge: EdgeProcess, paths: list[str]) -> None:
    """One after the other, on one connection."""
    connection = http.client.HTTPConnection(*edge.address, timeout=30)
    for path in paths:
        connection.request("GET", path)
        connection.getresponse().read()
    connection.close()


def _client(edge: EdgeProcess, number: int, over: threading.Event) -> int:
    """Until it is over; returns the bytes it got. Raises AssertionError for an answer that is not the file."""
    choose = random.Random(number)
    connection = http.client.HTTPConnection(*edge.address, timeout=30)
    block = bytearray(1 << 16)
    passed = count = 0
    while not over.is_set():
        count += 1
        file = choose.randrange(FILES)
        popular = choose.random() < POPULAR_SHARE
        query = f"popular{choose.randrange(POPULAR // FILES + 1)}" if popular else f"{number}-{count}"
        connection.request("GET", f"/{file}?{query}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        expected = answer.length
        got = 0
        while size := answer.readinto(block):
            got += size
        assert got == expected
        passed += got
    connection.close()
    return passed
