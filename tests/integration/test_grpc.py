"""gRPC's own client through the proxy to gRPC's own server: every kind of call, and what can come in its way."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc
import pytest

from edgeproxy.http3 import codes
from tests.support.certificates import Authority
from tests.support.ports import free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.quic import QuicClient, get

CODE = grpc.StatusCode
PATIENCE = 20  # seconds a call may take that is to succeed
BODY_TIMEOUT = 1  # seconds in which more of a body must come
BODY_SIZE = 1 << 20  # bytes that a body may have which is no call
CALL = ((b"content-type", b"application/grpc"), (b"te", b"trailers"))


class Echo(grpc.GenericRpcHandler):
    """A service of bytes. What calls were seen, and how they ended, is for the tests to look at."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.begun = threading.Event()
        self.deadlines: list[float | None] = []
        self.metadata: list[dict[str, str | bytes]] = []

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        make: dict[str, Callable[[], grpc.RpcMethodHandler]] = {
            "unary": lambda: grpc.unary_unary_rpc_method_handler(self.unary),
            "down": lambda: grpc.unary_stream_rpc_method_handler(self.down),
            "up": lambda: grpc.stream_unary_rpc_method_handler(self.up),
            "both": lambda: grpc.stream_stream_rpc_method_handler(self.both),
            "fail": lambda: grpc.unary_unary_rpc_method_handler(self.fail),
            "fail_later": lambda: grpc.unary_stream_rpc_method_handler(self.fail_later),
            "hang": lambda: grpc.unary_unary_rpc_method_handler(self.hang),
            "stall": lambda: grpc.unary_stream_rpc_method_handler(self.stall),
            "endless": lambda: grpc.unary_stream_rpc_method_handler(self.endless),
            "Check": lambda: grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01"),
        }
        found = make.get(call.method.rpartition("/")[2])
        return None if found is None else found()

    def _note(self, context: grpc.ServicerContext) -> None:
        self.deadlines.append(context.time_remaining())
        self.metadata.append(dict(context.invocation_metadata()))
        context.add_callback(self.cancelled.set)
        self.begun.set()

    def unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._note(context)
        context.send_initial_metadata((("x-first", "1"), ("x-first-bin", b"\0\xff")))
        context.set_trailing_metadata((("x-last", "2"), ("x-last-bin", b"\xff\0")))
        return request

    def down(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self._note(context)
        for number in range(int(request)):
            yield b"%d" % number

    def up(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        self._note(context)
        return b",".join(requests)

    def both(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self._note(context)
        for request in requests:
            yield request.upper()

    def fail(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(CODE.FAILED_PRECONDITION, "nö: 100 %")

    def fail_later(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield b"one"
        context.abort(CODE.DATA_LOSS, "gone")

    def hang(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self._note(context)
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(PATIENCE)
        return b""

    def stall(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield b"first"
        yield self.hang(request, context)

    def endless(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self._note(context)
        while context.is_active():
            yield bytes(100_000)


class Server:
    """gRPC's server on a free port, for :class:`Echo`."""

    def __init__(self) -> None:
        self.echo = Echo()
        self.port = free_port()
        self._threads = ThreadPoolExecutor(120)
        self._server = grpc.server(
            self._threads,
            handlers=(self.echo,),
            options=(("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)),
            compression=grpc.Compression.NoCompression,
        )
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()
        self._threads.shutdown()


def config(authority: Authority, server: Server, port: int, tls_port: int, dead: int) -> dict[str, Any]:
    pair = authority.issue("localhost")
    there = f"http://127.0.0.1:{server.port}"
    return {
        "listeners": [
            {"address": f"127.0.0.1:{port}", "protocols": ["h1", "h2"]},
            {
                "address": f"127.0.0.1:{tls_port}",
                "protocols": ["h1", "h2", "h3"],
                "tls": {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]},
            },
        ],
        "limits": {"body_timeout": BODY_TIMEOUT, "body_size": BODY_SIZE},
        "pools": {
            "calls": {"endpoints": [there], "protocol": "http2", "health": {"type": "grpc", "interval": "1s"}},
            "dead": {"endpoints": [f"http://127.0.0.1:{dead}"], "protocol": "http2"},
            "slow": {"endpoints": [there], "protocol": "http2", "timeouts": {"first_byte": "100ms"}},
        },
        "routes": [
            {"name": "dead", "match": {"path": "/dead.Echo/"}, "pool": "dead"},
            {"name": "slow", "match": {"path": "/slow.Echo/"}, "pool": "slow"},
            {
                "name": "closed",
                "match": {"path": "/closed.Echo/"},
                "pool": "calls",
                "middleware": {"access_rules": {"default": "deny"}},
            },
            {"name": "all", "pool": "calls"},
        ],
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


class Edge(EdgeProcess):
    """The proxy with its two listeners."""

    def __init__(self, authority: Authority, server: Server) -> None:
        self.tls_port = free_port()
        port = free_port()
        super().__init__(config(authority, server, port, self.tls_port, free_port()))
        self.port = port


@pytest.fixture(scope="module")
def edge(authority: Authority, server: Server) -> Iterator[Edge]:
    with Edge(authority, server) as running:
        yield running


@pytest.fixture
def echo(server: Server) -> Echo:
    """The service, nothing noted."""
    echo = server.echo
    echo.cancelled, echo.begun = threading.Event(), threading.Event()
    echo.deadlines, echo.metadata = [], []
    return echo


@pytest.fixture(params=["plain", "tls"])
def channel(request: pytest.FixtureRequest, edge: Edge, authority: Authority) -> Iterator[grpc.Channel]:
    options = (("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0))
    if request.param == "plain":
        opened = grpc.insecure_channel(f"127.0.0.1:{edge.port}", options)
    else:
        trusted = grpc.ssl_channel_credentials(authority.file.read_bytes())
        opened = grpc.secure_channel(f"localhost:{edge.tls_port}", trusted, options)
    with opened:
        yield opened


@pytest.fixture
def plain(edge: Edge) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{edge.port}", (("grpc.enable_retries", 0),)) as opened:
        yield opened


def failure(call: Callable[[], object]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def message(data: bytes) -> bytes:
    """A message as HTTP carries it, not compressed."""
    return b"\0" + len(data).to_bytes(4, "big") + data


def last_line(edge: Edge, path: str) -> dict[str, Any]:
    """What the access log says of a call."""

    def lines() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in edge.logs().splitlines() if line.startswith("{")]
        return [line for line in found if line.get("target") == path]

    wait_until(lambda: bool(lines()), f"{path} is logged")
    return lines()[-1]


def test_a_unary_call_with_its_metadata(channel: grpc.Channel, echo: Echo) -> None:
    metadata = (("x-asked", "yes"), ("x-asked-bin", b"\x00\xff\x80"))
    answer, call = channel.unary_unary("/echo.Echo/unary").with_call(b"hello", metadata=metadata, timeout=PATIENCE)
    assert answer == b"hello"
    assert dict(call.initial_metadata()) | {"x-first": "1", "x-first-bin": b"\0\xff"} == dict(call.initial_metadata())
    assert dict(call.trailing_metadata()) == {"x-last": "2", "x-last-bin": b"\xff\0"}
    assert (call.code(), echo.metadata[0]["x-asked"]) == (CODE.OK, "yes")
    assert echo.metadata[0]["x-asked-bin"] == b"\x00\xff\x80"


def test_an_empty_message(channel: grpc.Channel, echo: Echo) -> None:
    assert channel.unary_unary("/echo.Echo/unary")(b"", timeout=PATIENCE) == b""


def test_a_stream_of_answers(channel: grpc.Channel, echo: Echo) -> None:
    got = list(channel.unary_stream("/echo.Echo/down")(b"300", timeout=PATIENCE))
    assert got == [b"%d" % number for number in range(300)]


def test_a_stream_of_requests(channel: grpc.Channel, echo: Echo) -> None:
    pieces = [b"%d" % number for number in range(300)]
    assert channel.stream_unary("/echo.Echo/up")(iter(pieces), timeout=PATIENCE) == b",".join(pieces)


def test_both_at_once_each_answer_before_the_next_request(channel: grpc.Channel, echo: Echo) -> None:
    asked: queue.Queue[bytes | None] = queue.Queue()
    answers = channel.stream_stream("/echo.Echo/both")(iter(asked.get, None), timeout=PATIENCE)
    for word in (b"one", b"two", b"three"):
        asked.put(word)
        assert next(answers) == word.upper()
    asked.put(None)
    assert list(answers) == []
    assert answers.code() is CODE.OK


@pytest.mark.slow
def test_a_call_may_be_silent_for_longer_than_a_body_may(plain: grpc.Channel, echo: Echo) -> None:
    asked: queue.Queue[bytes | None] = queue.Queue()
    answers = plain.stream_stream("/echo.Echo/both")(iter(asked.get, None), timeout=PATIENCE)
    for word in (b"one", b"two"):
        asked.put(word)
        assert next(answers) == word.upper()
        time.sleep(2 * BODY_TIMEOUT)
    asked.put(None)
    assert list(answers) == []


@pytest.mark.slow
def test_a_call_over_http3_may_be_silent_and_large_too(edge: Edge, echo: Echo) -> None:
    with QuicClient(("127.0.0.1", edge.tls_port)) as client:
        client.connect()
        call = client.ask(get(b"/echo.Echo/both", *CALL, method=b"POST"), message(b"one"), end=False)
        reply = client.replies[call]
        client.until(lambda: reply.body == message(b"ONE"), "the first answer")
        client.linger(3 * BODY_TIMEOUT)
        large = b"two" * BODY_SIZE
        client.http.send_data(call, message(large), end_stream=False)
        client.until(lambda: len(reply.body) == 2 * len(message(b"")) + 3 + len(large), "the second", PATIENCE)
        client.linger(2 * BODY_TIMEOUT)
        client.http.send_data(call, b"", end_stream=True)
        client.finish(call)
    assert (reply.status, reply.code, reply.trailers[b"grpc-status"]) == (200, None, b"0")
    assert reply.body.endswith(message(large.upper()))


def test_a_deadline_over_http3_cancels_an_answer_that_has_begun(edge: Edge, echo: Echo) -> None:
    with QuicClient(("127.0.0.1", edge.tls_port)) as client:
        timeout = (b"grpc-timeout", b"300m")
        call = client.connect().ask(get(b"/echo.Echo/stall", *CALL, timeout, method=b"POST"), message(b""))
        reply = client.finish(call)
    assert (reply.status, reply.body, reply.code) == (200, message(b"first"), codes.REQUEST_CANCELLED)


def test_messages_larger_than_every_window(channel: grpc.Channel, echo: Echo) -> None:
    large = bytes(range(256)) * 40_000
    assert channel.unary_unary("/echo.Echo/unary")(large, timeout=PATIENCE) == large


def test_a_compressed_message_stays_as_it_is(channel: grpc.Channel, echo: Echo) -> None:
    call = channel.unary_unary("/echo.Echo/unary")
    assert call(b"a" * 100_000, compression=grpc.Compression.Gzip, timeout=PATIENCE) == b"a" * 100_000


def test_an_error_with_its_message(channel: grpc.Channel, edge: Edge) -> None:
    error = failure(lambda: channel.unary_unary("/echo.Echo/fail")(b"", timeout=PATIENCE))
    assert (error.code(), error.details()) == (CODE.FAILED_PRECONDITION, "nö: 100 %")
    assert last_line(edge, "/echo.Echo/fail")["grpc"] == "9"


def test_an_error_behind_answers(channel: grpc.Channel, edge: Edge) -> None:
    answers = channel.unary_stream("/echo.Echo/fail_later")(b"", timeout=PATIENCE)
    assert next(answers) == b"one"
    error = failure(lambda: next(answers))
    assert (error.code(), error.details()) == (CODE.DATA_LOSS, "gone")
    assert last_line(edge, "/echo.Echo/fail_later")["grpc"] == "15"


def test_a_method_that_is_not_there(channel: grpc.Channel) -> None:
    assert failure(lambda: channel.unary_unary("/echo.Echo/none")(b"", timeout=PATIENCE)).code() is CODE.UNIMPLEMENTED


def test_a_deadline_reaches_the_server_less_what_was_used(plain: grpc.Channel, echo: Echo) -> None:
    plain.unary_unary("/echo.Echo/unary")(b"", timeout=PATIENCE)
    assert echo.deadlines[0] is not None
    assert 0 < echo.deadlines[0] < PATIENCE + 1  # the server's clock begins when it hears of it


def test_a_deadline_that_passes_ends_the_call_everywhere(plain: grpc.Channel, echo: Echo) -> None:
    error = failure(lambda: plain.unary_unary("/echo.Echo/hang")(b"", timeout=0.3))
    assert error.code() is CODE.DEADLINE_EXCEEDED
    assert echo.cancelled.wait(PATIENCE)


def test_a_deadline_that_passes_behind_answers_is_no_fault(plain: grpc.Channel, echo: Echo) -> None:
    answers = plain.unary_stream("/echo.Echo/stall")(b"", timeout=0.5)
    assert next(answers) == b"first"
    assert failure(lambda: next(answers)).code() in {CODE.DEADLINE_EXCEEDED, CODE.CANCELLED}  # whose clock is first
    assert echo.cancelled.wait(PATIENCE)


def test_a_call_that_is_cancelled_is_cancelled_at_the_server(plain: grpc.Channel, echo: Echo) -> None:
    call = plain.unary_unary("/echo.Echo/hang").future(b"")
    assert echo.begun.wait(PATIENCE)
    assert not echo.cancelled.is_set()
    call.cancel()
    assert echo.cancelled.wait(PATIENCE)


def test_a_stream_that_is_cancelled_stops_coming(plain: grpc.Channel, echo: Echo) -> None:
    answers = plain.unary_stream("/echo.Echo/endless")(b"")
    assert len(next(answers)) == 100_000
    answers.cancel()
    assert echo.cancelled.wait(PATIENCE)


def test_a_hundred_calls_at_once(plain: grpc.Channel, echo: Echo) -> None:
    calls = [plain.unary_unary("/echo.Echo/unary").future(b"%d" % number, timeout=PATIENCE) for number in range(100)]
    assert [call.result() for call in calls] == [b"%d" % number for number in range(100)]


def test_an_origin_that_is_not_there_is_unavailable(plain: grpc.Channel, edge: Edge) -> None:
    error = failure(lambda: plain.unary_unary("/dead.Echo/unary")(b"", timeout=PATIENCE))
    assert error.code() is CODE.UNAVAILABLE
    assert "refused" in (error.details() or "")
    line = last_line(edge, "/dead.Echo/unary")
    assert (line["grpc"], line["error"], line["status"]) == ("14", "connect_refused", 200)


def test_a_server_that_takes_too_long_is_unavailable_where_the_call_has_no_deadline(plain: grpc.Channel) -> None:
    assert failure(lambda: plain.unary_unary("/slow.Echo/hang")(b"")).code() is CODE.UNAVAILABLE


def test_a_stage_that_refuses_is_understood(plain: grpc.Channel, edge: Edge) -> None:
    error = failure(lambda: plain.unary_unary("/closed.Echo/unary")(b"", timeout=PATIENCE))
    assert error.code() is CODE.PERMISSION_DENIED
    assert last_line(edge, "/closed.Echo/unary")["grpc"] == "7"
