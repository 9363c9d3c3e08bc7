"""grpcio, to an origin that speaks gRPC."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import grpc

from tests.clients.run import Client
from tests.clients.stand import Stand

PATIENCE = 20.0
SERVICE = "/demo.Echo/"


class Echo(grpc.GenericRpcHandler):
    """A service of bytes: one of each kind of call, one that fails, and one that takes too long."""

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        made: dict[str, grpc.RpcMethodHandler] = {
            "One": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
            "Down": grpc.unary_stream_rpc_method_handler(_down),
            "Up": grpc.stream_unary_rpc_method_handler(lambda requests, _: b",".join(requests)),
            "Both": grpc.stream_stream_rpc_method_handler(_both),
            "Fail": grpc.unary_unary_rpc_method_handler(_fail),
            "Hang": grpc.unary_unary_rpc_method_handler(_hang),
        }
        return made.get(call.method.removeprefix(SERVICE))


def _down(request: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
    for number in range(int(request)):
        yield b"%d" % number


def _both(requests: Iterator[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
    for request in requests:
        yield request.upper()


def _fail(_: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 100 %")
    return b""


def _hang(_: bytes, context: grpc.ServicerContext) -> bytes:
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(PATIENCE)
    return b""


class Server:
    """grpcio's server on a free port; a context manager."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8)
        self._server = grpc.server(self._threads, handlers=(Echo(),))
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()
        self._threads.shutdown()


def _one(channel: grpc.Channel) -> bool:
    return all(
        channel.unary_unary(SERVICE + "One")(sent, timeout=PATIENCE) == sent for sent in (b"hello", b"x" * 100_000)
    )


def _streams_down(channel: grpc.Channel) -> bool:
    return list(channel.unary_stream(SERVICE + "Down")(b"100", timeout=PATIENCE)) == [b"%d" % n for n in range(100)]


def _streams_up(channel: grpc.Channel) -> bool:
    return channel.stream_unary(SERVICE + "Up")(iter([b"a", b"b", b"c"]), timeout=PATIENCE) == b"a,b,c"


def _streams_both(channel: grpc.Channel) -> bool:
    """Each answer is waited for before the next request is made."""
    sent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    answers = channel.stream_stream(SERVICE + "Both")(iter(sent.get, None), timeout=PATIENCE)
    right = True
    for number in range(20):
        sent.put(b"message %d" % number)
        right = next(answers) == b"MESSAGE %d" % number and right
    sent.put(None)
    return right and not list(answers)


def _fails(channel: grpc.Channel) -> bool:
    try:
        channel.unary_unary(SERVICE + "Fail")(b"", timeout=PATIENCE)
    except grpc.RpcError as error:
        return (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "not now: 100 %")
    return False


def _has_a_deadline(channel: grpc.Channel) -> bool:
    try:
        channel.unary_unary(SERVICE + "Hang")(b"", timeout=0.5)
    except grpc.RpcError as error:
        return bool(error.code() is grpc.StatusCode.DEADLINE_EXCEEDED)
    return False


KINDS: tuple[Callable[[grpc.Channel], bool], ...] = (
    _one,
    _streams_down,
    _streams_up,
    _streams_both,
    _fails,
    _has_a_deadline,
)


async def calls(stand: Stand, protocol: str) -> tuple[int, int]:
    """One call of each kind, on a channel with TLS."""
    return await asyncio.to_thread(_calls, stand)


def _calls(stand: Stand) -> tuple[int, int]:
    trust = grpc.ssl_channel_credentials(stand.authority.read_bytes())
    with grpc.secure_channel(f"localhost:{stand.secure_port}", trust) as channel:
        return sum(kind(channel) for kind in KINDS), len(KINDS)


CLIENTS = (Client("grpcio", ("h2",), specials={"gRPC": calls}),)
