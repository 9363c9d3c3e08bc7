"""Origins that fail as told, in a process of their own: ``python -m tests.support.failing HOST PORT …``.

Well, one answers every request after 30 to 50 ms with a body that only its target decides, and says in
``X-Endpoint`` which of them it was. How it fails is a :class:`Fault`, told over its standard input, one line of JSON
each time, and answered on its standard output with what was asked of it so far.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import signal
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Self, cast

import uvloop

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
TAKES = (0.03, 0.05)  # seconds to an answer, at least and at most
BACKLOG = 1024
PACE = 0.5  # seconds between two bytes of what trickles: shorter than a time-out between two bytes


class Fault(StrEnum):
    """What an origin does instead of answering."""

    WELL = "well"
    STALL = "stall"
    """Takes requests and answers nothing."""
    RESET = "reset"
    """Resets the connection (RST) over each request."""
    ERROR = "error"
    """Answers 500."""
    TRICKLE = "trickle"
    """Sends its answer's head byte by byte, two a second."""
    DRIP = "drip"
    """Sends the head at once and then the body byte by byte, two a second."""
    BLACK_HOLE = "black hole"
    """Leaves every SYN without an answer, and every request on the connections there are."""
    GONE = "gone"
    """Resets its connections and refuses new ones."""


_SILENT = frozenset({Fault.STALL, Fault.BLACK_HOLE, Fault.GONE})


def body_of(target: str) -> bytes:
    """What a target is answered with: 1 KiB."""
    return hashlib.sha256(target.encode()).hexdigest().encode() * 16


class FailingOrigins:
    """``count`` origins in a process; a context manager. ``ports`` are theirs and stay so when it starts again.
    ``host``: the address they listen on; ``core``: the one they run on, as taskset(1) names it."""

    def __init__(self, count: int, *, host: str = "127.0.0.1", core: str = "") -> None:
        self.ports = [free_port() for _ in range(count)]
        self._count = count
        self._host = host
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def __enter__(self) -> Self:
        pinned = ["taskset", "-c", self._core] if self._core else []
        command = [*pinned, sys.executable, "-m", "tests.support.failing", self._host, *map(str, self.ports)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self.asked()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End all of them at once (SIGKILL), as a region that loses its power."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """Let all of them fall silent at once; their kernel goes on taking connections."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on with what they have."""
        self._signal(signal.SIGCONT)

    def fail(self, *faults: Fault) -> None:
        """The i-th origin fails like the i-th of these from now on; those without one are well."""
        self._order([*faults, *[Fault.WELL] * (self._count - len(faults))])

    def asked(self) -> list[Counter[str]]:
        """The requests each origin was sent so far, by the first segment of their targets."""
        return self._order([])

    def _order(self, faults: Sequence[Fault]) -> list[Counter[str]]:
        assert self._process is not None, "not started"
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None
        assert answers is not None
        orders.write(json.dumps(faults).encode() + b"\n")
        orders.flush()
        line = answers.readline()
        if not line:
            raise RuntimeError("the origins have ended")
        return [Counter(counts) for counts in json.loads(line)]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class _Endpoint:
    """One origin inside the process. Its listening socket stays the same, so that no connection is refused in between
    unless it is to be."""

    def __init__(self, loop: asyncio.AbstractEventLoop, number: int, address: tuple[str, int]) -> None:
        self.loop = loop
        self.number = number
        self.fault = Fault.WELL
        self.asked: Counter[str] = Counter()
        self.talks: set[_Talk] = set()
        self._accepting: set[asyncio.Task[object]] = set()
        self._fillers: list[socket.socket] = []
        self._address = address
        self._listener = self._listen()

    def fail(self, fault: Fault) -> None:
        before, self.fault = self.fault, fault
        if fault is before:
            return
        if before is Fault.BLACK_HOLE:
            self._open()
        elif before is Fault.GONE:
            self._listener = self._listen()
        if fault is Fault.BLACK_HOLE:
            self._shut()
        elif fault is Fault.GONE:
            self.loop.remove_reader(self._listener)
            self._listener.close()
            for talk in list(self.talks):
                talk.reset()

    def _listen(self) -> socket.socket:
        listener = socket.create_server(self._address, backlog=BACKLOG)
        listener.setblocking(False)
        self.loop.add_reader(listener, self._accept)
        return listener

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                task = self.loop.create_task(self.loop.connect_accepted_socket(lambda: _Talk(self), connection))
                self._accepting.add(task)
                task.add_done_callback(self._accepting.discard)

    def _shut(self) -> None:
        """Accept nothing any more, with a backlog that is full: the kernel drops each further SYN."""
        self._accept()
        self.loop.remove_reader(self._listener)
        self._listener.listen(0)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self._listener.getsockname())
            self._fillers.append(filler)

    def _open(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()
        self._listener.listen(BACKLOG)
        self.loop.add_reader(self._listener, self._accept)


class _Talk(asyncio.Protocol):
    """One connection: requests without a body, one after the other."""

    def __init__(self, endpoint: _Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._endpoint.talks.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._endpoint.talks.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        self._buffer = rest
        target = head.split(b" ", 2)[1].decode()
        self._endpoint.asked[target.split("/")[1]] += 1
        self._later(random.uniform(*TAKES), lambda: self._answer(target))

    def reset(self) -> None:
        wire = self._transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _answer(self, target: str) -> None:
        fault = self._endpoint.fault
        status = b"500 Internal Server Error" if fault is Fault.ERROR else b"200 OK"
        body = body_of(target)
        fields = b"Content-Length: %d\r\nCache-Control: no-store\r\nX-Endpoint: %d" % (len(body), self._endpoint.number)
        head = b"HTTP/1.1 " + status + b"\r\n" + fields + b"\r\n\r\n"
        if fault is Fault.RESET:
            self.reset()
        elif fault is Fault.TRICKLE:
            self._trickle(head + body)
        elif fault is Fault.DRIP:
            self._transport.write(head)
            self._trickle(body)
        elif fault not in _SILENT:
            self._transport.write(head + body)

    def _trickle(self, data: bytes) -> None:
        """What began so goes on so, even when the origin is well again."""
        self._transport.write(data[:1])
        if data[1:]:
            self._later(PACE, lambda: self._trickle(data[1:]))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timer = self._endpoint.loop.call_later(seconds, act)


async def _serve(host: str, ports: Sequence[int]) -> None:
    loop = asyncio.get_running_loop()
    endpoints = [_Endpoint(loop, number, (host, port)) for number, port in enumerate(ports)]
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        for endpoint, fault in zip(endpoints, json.loads(line), strict=False):
            endpoint.fail(Fault(fault))
        print(json.dumps([endpoint.asked for endpoint in endpoints]), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1], [int(port) for port in sys.argv[2:]]))
