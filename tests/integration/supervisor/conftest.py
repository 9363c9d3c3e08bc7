"""The real `edgeproxy run` in front of a scripted origin."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import RawClient, ask
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture
def whole(site: Site) -> Callable[..., dict[str, Any]]:
    """A configuration that sends everything to the site; keywords are further sections."""

    def make(**more: Any) -> dict[str, Any]:
        return config(site.url, **{"log": {"access": False}, **more})

    return make


@pytest.fixture
def get() -> Callable[..., bytes]:
    """The body of one GET on a connection of its own, which must be answered 200."""

    def get(edge: EdgeProcess, target: bytes = b"/") -> bytes:
        (got,) = ask(edge.address, request(target, b"Connection: close")).final
        assert got.status == 200, got
        return got.body

    return get


@pytest.fixture
def post() -> Callable[..., tuple[int, Any]]:
    """One POST to the admin listener: status and the JSON answered."""

    def post(edge: EdgeProcess, path: str, body: Any = None, **fields: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", edge.admin_port, timeout=10)
        try:
            headers = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in fields.items()}
            connection.request("POST", path, body if isinstance(body, bytes) else json.dumps(body or {}), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    return post


@pytest.fixture
def metric() -> Callable[..., float]:
    """The sum of a metric's series whose labels hold all of ``parts``; 0 if there are none."""

    def metric(edge: EdgeProcess, name: str, *parts: str) -> float:
        lines = edge.admin("/metrics")[1].decode().splitlines()
        found = [line for line in lines if re.match(rf"{name}[{{ ]", line) and all(part in line for part in parts)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    return metric


@pytest.fixture
def slow(site: Site) -> Iterator[Callable[[EdgeProcess], tuple[RawClient, Callable[[], None]]]]:
    """Starts an exchange at ``/slow`` that is half answered; returns its client and what lets the origin go on."""
    release = threading.Event()

    def script(_: Any) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nCache-Control: no-store\r\n\r\nfirst"
        release.wait(20)
        yield b"end"

    def start(edge: EdgeProcess) -> tuple[RawClient, Callable[[], None]]:
        site.on(b"/slow", script)
        client = RawClient(edge.address)
        client.send(request(b"/slow"))
        client.read_until(lambda received: received.endswith(b"first"))
        assert client.received.endswith(b"first")
        return client, release.set

    yield start
    release.set()


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def exists() -> Callable[[int], bool]:
    """Whether a process is there and no zombie."""

    def exists(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return exists


@pytest.fixture
def storable() -> bytes:
    """An answer that is fresh for ten minutes."""
    return answer(200, b"kept", b"Cache-Control: max-age=600")
