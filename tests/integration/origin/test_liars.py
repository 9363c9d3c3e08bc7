"""Origins that lie: whoever asked sees that it was no answer, and nobody else sees anything of it.

Each lie is told once, by an origin that otherwise tells the truth, while another client goes on asking the same proxy
over the same connections to the origin and checks every byte.
"""

from __future__ import annotations

import itertools
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

import pytest

from tests.support.certificates import Authority
from tests.support.client import Answers, RawClient, ask
from tests.support.failing import body_of
from tests.support.origin import Hang, RecordedRequest, RecordingOrigin, Script, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess, NginxServer
from tests.support.site import request

OK = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\n"
TRUTH = b"the truth"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ZEROS = b"\0" * 65536
INVALID, TOO_LARGE = b"http_protocol_error", b"http_response_header_section_size"
INCOMPLETE, TIMEOUT = b"http_response_incomplete", b"http_response_timeout"


class Lie(NamedTuple):
    """What an origin sends in place of an answer, and what Proxy-Status says of it (RFC 9209 §2.3)."""

    name: str
    pieces: Callable[[], Iterable[bytes | Hang]]
    token: bytes


def once(*pieces: bytes | Hang) -> Callable[[], Iterable[bytes | Hang]]:
    return lambda: pieces


def endless(piece: bytes, before: bytes = b"") -> Callable[[], Iterable[bytes | Hang]]:
    return lambda: itertools.chain([before], itertools.repeat(piece))


def numbered(template: bytes, before: bytes) -> Callable[[], Iterable[bytes | Hang]]:
    return lambda: itertools.chain([before], (template % number for number in itertools.count()))


# Nothing of these is an answer.
NO_ANSWERS = (
    Lie("a status of four digits", once(b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), INVALID),
    Lie("a status of two digits", once(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), INVALID),
    Lie("another protocol's name", once(b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n"), INVALID),
    Lie("a version that is not there", once(b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n"), INVALID),
    Lie("no status line", once(b"Content-Type: text/html\r\n\r\n<html>"), INVALID),
    Lie("a request", once(b"GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"), INVALID),
    Lie("HTTP/2 settings", once(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"), INVALID),
    Lie("the preface of HTTP/2", once(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), INVALID),
    Lie("a TLS alert", once(b"\x15\x03\x01\x00\x02\x02\x46"), INVALID),
    Lie("zeros without end", endless(ZEROS), INVALID),
    Lie("a field without end", endless(b"a" * 4096, OK + b"X-Long: "), TOO_LARGE),
    Lie("fields without end", numbered(b"X-%d: 1\r\n", OK), TOO_LARGE),
    Lie("interim answers without end", endless(b"HTTP/1.1 102 Processing\r\n\r\n"), INVALID),
    Lie("a switch nobody asked for", once(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), INVALID),
    Lie("two lengths", once(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), INVALID),
    Lie("a list of lengths", once(OK + b"Content-Length: 5, 6\r\n\r\nhello!"), INVALID),
    Lie("a negative length", once(OK + b"Content-Length: -1\r\n\r\n"), INVALID),
    Lie("a length in words", once(OK + b"Content-Length: five\r\n\r\nhello"), INVALID),
    Lie("a length no number holds", once(OK + b"Content-Length: 99999999999999999999999\r\n\r\nhello"), INVALID),
    Lie("a length and chunks", once(OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), INVALID),
    Lie("chunks in HTTP/1.0", once(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), INVALID),
    Lie("chunked twice", once(OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), INVALID),
    Lie("a coding that only sounds like it", once(OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), INVALID),
    Lie("a bare LF in a field", once(OK + b"X: a\nContent-Length: 0\r\n\r\n"), INVALID),
    Lie("a blank before the colon", once(OK + b"Content-Length : 5\r\n\r\nhello"), INVALID),
    Lie("NUL in a field", once(OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n"), INVALID),
    Lie("half a head", once(OK + b"Content-Le", Hang.CLOSE), INCOMPLETE),
)

# These begin as answers do, so that a part of them may have been passed on.
HALF_TRUTHS = (
    Lie("a length longer than the body", once(OK + b"Content-Length: 100\r\n\r\n", b"short", Hang.CLOSE), INCOMPLETE),
    Lie("a long body that is reset", once(OK + b"Content-Length: 100\r\n\r\n", b"short", Hang.RESET), INCOMPLETE),
    Lie("a body that stops", once(OK + b"Content-Length: 100\r\n\r\n", b"short"), TIMEOUT),
    Lie("chunks that stop", once(CHUNKED, b"5\r\nshort\r\n"), TIMEOUT),
    Lie("chunks that end too soon", once(CHUNKED, b"5\r\nshort\r\n", Hang.CLOSE), INCOMPLETE),
    Lie("a chunk size with 0x", once(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"), INVALID),
    Lie("a chunk size with a sign", once(CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n"), INVALID),
    Lie("a negative chunk size", once(CHUNKED, b"-1\r\nhello\r\n0\r\n\r\n"), INVALID),
    Lie("a chunk size no number holds", once(CHUNKED, b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), INVALID),
    Lie("a chunk longer than its size", once(CHUNKED, b"3\r\nhello\r\n0\r\n\r\n"), INVALID),
    Lie("a chunk size behind a blank", once(CHUNKED, b"  5\r\nhello\r\n0\r\n\r\n"), INVALID),
    Lie("a chunk size that ends with LF", once(CHUNKED, b"5\nhello\r\n0\r\n\r\n"), INVALID),
    Lie("a chunk extension without end", endless(b"a" * 4096, CHUNKED + b"5;"), TOO_LARGE),
    Lie("trailers without end", numbered(b"X-%d: 1\r\n", CHUNKED + b"5\r\nhello\r\n0\r\n"), TOO_LARGE),
)


class Liar(RecordingOrigin):
    """Tells each target's lie to its first request, the truth to all others; ``/good/…`` is never lied to."""

    def __init__(self) -> None:
        super().__init__(self._tell)
        self._lies: dict[bytes, Callable[[], Iterable[bytes | Hang]]] = {}
        self._targets = (b"/lie/%d" % number for number in itertools.count())

    def lie(self, pieces: Callable[[], Iterable[bytes | Hang]]) -> bytes:
        """The target that is answered with it."""
        target = next(self._targets)
        self._lies[target] = pieces
        return target

    def to(self, target: bytes) -> list[RecordedRequest]:
        return [request for request in list(self.requests) if request.target == target]

    def _tell(self, request: RecordedRequest) -> Script:
        lie = self._lies.pop(request.target, None)
        if lie is not None:
            return lie()
        if request.target.startswith(b"/good/"):
            return answer(200, body_of(request.target.decode()), b"Cache-Control: no-store")
        return answer(200, TRUTH, b"Cache-Control: max-age=600")


class Bystander:
    """Another client, which asks and asks on one connection inside the ``with``, and checks every byte."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.served = 0
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _ask(self) -> None:
        with RawClient(self._address) as client:
            for number in itertools.count():
                if self._stop.is_set() or self.wrong:
                    return
                target = f"/good/{number}"
                client.received.clear()
                client.send(request(target.encode()))
                got = client.answers(1)
                if got.statuses != [200] or got.rest or got.final[0].body != body_of(target):
                    self.wrong.append(f"{target}: {got}")
                self.served += 1


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    with Liar() as liar:
        yield liar


@pytest.fixture(scope="module")
def plain() -> Iterator[str]:
    """Speaks no TLS, and answers what it does not understand with 400."""
    with NginxServer("server { listen 127.0.0.1:{port}; }") as server:
        yield f"https://127.0.0.1:{server.port}"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Speaks TLS only."""
    pair = Authority(tmp_path_factory.mktemp("keys")).issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with RecordingOrigin(tls=context) as origin:
        yield origin.url.replace("https:", "http:")


@pytest.fixture(scope="module")
def edge(liar: Liar, plain: str, encrypted: str) -> Iterator[EdgeProcess]:
    site = {
        "endpoints": [liar.url],
        "outlier": False,
        "retry": False,
        "timeouts": {"first_byte": 2, "between_bytes": 0.2},
        "keepalive": {"connections": 4},
    }
    config = {
        "pools": {"site": site, "encrypted": {"endpoints": [plain]}, "plain": {"endpoints": [encrypted]}},
        "routes": [
            {"name": "encrypted", "match": {"path": "/encrypted/"}, "pool": "encrypted"},
            {"name": "plain", "match": {"path": "/plain/"}, "pool": "plain"},
            {"name": "all", "pool": "site"},
        ],
        "middleware": {"bot_check": False},
        "limits": {"connections_per_client": 1000},
    }
    with EdgeProcess(config) as edge:
        yield edge
        assert "Traceback" not in edge.logs()


@pytest.fixture
def bystander(edge: EdgeProcess) -> Iterator[Bystander]:
    with Bystander(edge.address) as bystander:
        wait_until(lambda: bystander.served > 2, "the other client is answered")
        yield bystander
        served = bystander.served
        wait_until(lambda: bystander.served > served + 2 or bool(bystander.wrong), "the other client is answered")
    assert not bystander.wrong


def told(edge: EdgeProcess, liar: Liar, target: bytes, method: bytes = b"GET") -> Answers:
    """What the client gets for a lie. The connection it came over is closed, and it is asked for again."""
    with RawClient(edge.address) as client:
        client.send(request(target, method=method))
        answers = client.answers(1, (method,))
        assert answers.final or client.closed, "the client waits for ever"
    (first,) = liar.to(target)
    wait_until(lambda: liar.peer_left(first.connection), "the proxy closes the connection to a liar")
    again = ask(edge.address, request(target))
    assert (again.statuses, again.final[0].body) == ([200], TRUTH)
    assert len(liar.to(target)) == 2, "a lie was kept"
    return answers


@pytest.mark.parametrize("lie", NO_ANSWERS, ids=lambda lie: lie.name)
def test_what_is_no_answer_is_502_closes_the_connection_and_is_not_kept(
    edge: EdgeProcess, liar: Liar, bystander: Bystander, lie: Lie
) -> None:
    (final,) = told(edge, liar, liar.lie(lie.pieces)).final
    assert final.status == 502
    assert final.get(b"proxy-status") == b"edgeproxy; error=" + lie.token
    assert final.get(b"cache-control") == b"no-store"


@pytest.mark.parametrize("lie", HALF_TRUTHS, ids=lambda lie: lie.name)
def test_what_began_as_an_answer_and_broke_never_looks_whole_and_is_not_kept(
    edge: EdgeProcess, liar: Liar, bystander: Bystander, lie: Lie
) -> None:
    answers = told(edge, liar, liar.lie(lie.pieces))
    if answers.final:  # none of it had been passed on
        assert answers.statuses == [504 if lie.token == TIMEOUT else 502]
        assert answers.final[0].get(b"proxy-status") == b"edgeproxy; error=" + lie.token
    else:
        assert answers.rest.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "behind",
    [
        b" and more than was announced",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond",
        b"HTTP/1.1 200 OK\r\n\r\n" + ZEROS,
    ],
    ids=["a body longer than its length", "two answers to one request", "an answer behind the answer, without end"],
)
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "afterwards"])
def test_what_stands_behind_an_answer_reaches_nobody(
    edge: EdgeProcess, liar: Liar, bystander: Bystander, behind: bytes, apart: bool
) -> None:
    first = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 5\r\n\r\nfirst"
    target = liar.lie(once(first, behind) if apart else once(first + behind))
    (final,) = told(edge, liar, target).final
    assert (final.status, final.body) == (200, b"first")


@pytest.mark.parametrize("head", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n"])
def test_a_body_where_none_belongs_is_nobodys_answer(
    edge: EdgeProcess, liar: Liar, bystander: Bystander, head: bytes
) -> None:
    told(edge, liar, liar.lie(once(head + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")))


def test_a_body_without_end_costs_no_memory_and_ends_with_its_client(
    edge: EdgeProcess, liar: Liar, bystander: Bystander
) -> None:
    target = liar.lie(endless(ZEROS, OK + b"\r\n"))
    before = edge.resident()
    with RawClient(edge.address) as client:
        client.send(request(target))
        read = 0
        while read < 64_000_000:
            data = client.socket.recv(1 << 20)
            assert data, "the stream ended"
            read += len(data)
        assert edge.resident() - before < 32_000_000
    wait_until(lambda: liar.peer_left(liar.to(target)[0].connection), "the proxy closes the connection to a liar")


@pytest.mark.parametrize(
    ("target", "tokens"),
    [
        (b"/encrypted/", {b"tls_certificate_error"}),
        (b"/plain/", {INVALID, INCOMPLETE, b"connection_terminated"}),
    ],
    ids=["TLS to a plain port", "plain text to a TLS port"],
)
def test_tls_and_plain_text_do_not_meet(
    edge: EdgeProcess, bystander: Bystander, target: bytes, tokens: set[bytes]
) -> None:
    (final,) = ask(edge.address, request(target)).final
    assert final.status == 502
    assert (final.get(b"proxy-status") or b"").removeprefix(b"edgeproxy; error=") in tokens
