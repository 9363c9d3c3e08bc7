"""Plain answers: what the short way takes, llhttp takes too, and reads the same."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.headers import HOP_BY_HOP, Headers, add, lower_name
from edgeproxy.origin import answer, plain
from edgeproxy.origin.answer import Answer

NAMES = (
    *(b"Content-Type", b"content-type", b"Cache-Control", b"Date", b"ETag", b"Set-Cookie", b"Server", b"X-Thing"),
    *(b"Connection", b"Keep-Alive", b"Transfer-Encoding", b"Upgrade", b"Trailer", b"TE", b"Proxy-Authenticate"),
    *(b"Content-Length", b"Unheard-Of"),
)
VALUES = (
    *(b"1", b"0", b"2", b"text/html", b"close", b"keep-alive", b"Keep-Alive", b"chunked", b"timeout=5", b"\xe9t\xe9"),
    *(b"", b"a\tb", b" a", b"a ", b"a\0", b"websocket", b"7" * 16, b"1, 1", b"+1", b"1_0"),
)
FIRST = (b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 200 ", b"HTTP/1.1 200")
ODD = (
    *(b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 103 Early Hints"),
    *(b"HTTP/1.1 999 What", b"HTTP/1.1 200\tOK", b"http/1.1 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 200 \xe9"),
)


class Oracle:
    """What llhttp makes of the bytes."""

    def __init__(self, data: bytes) -> None:
        self.fields: Headers = {}
        self.body = b""
        self.whole = False
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        add(self.fields, name.lower(), value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.persists = self.parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.whole = True


@pytest.fixture(autouse=True, scope="module")
def _names_are_known() -> None:
    for name in NAMES[:-1]:
        lower_name(name)


def taken(data: bytes) -> bool:
    """Whether the head was taken past the parser; fails if it was and llhttp reads it otherwise."""
    fields: Headers = {}
    end = data.find(b"\r\n\r\n")
    status = plain.read(data[: end + 1], fields)
    if not status:
        return False
    length = int(fields[b"content-length"])
    whole = data[: end + 4] + b"x" * length
    oracle = Oracle(whole)
    end_to_end = {name: value for name, value in oracle.fields.items() if name not in HOP_BY_HOP}
    assert (oracle.status, oracle.persists, oracle.whole) == (status, True, True)
    assert (oracle.body, end_to_end) == (b"x" * length, fields)
    read = Answer()
    read.feed(whole)
    assert (read.status, read.head, b"".join(read.chunks), read.whole, read.persists) == (
        *(status, fields, b"x" * length),
        *(True, True),
    )
    return True


@given(
    st.sampled_from(FIRST + ODD),
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from((b": ", b":", b":  ", b" : ")), st.sampled_from(VALUES))
    ),
    st.sampled_from((b"\r\n", b"\r\n", b"\n", b"\r\r\n", b"\r\n ")),
)
@example(FIRST[0], [(b"Content-Length", b": ", b"1"), (b"Content-Length", b": ", b"2")], b"\r\n")
@example(FIRST[0], [(b"Content-Length", b": ", b"1"), (b"Transfer-Encoding", b": ", b"chunked")], b"\r\n")
@example(FIRST[0], [(b"Content-Length", b": ", b"1"), (b"Connection", b": ", b"close")], b"\r\n")
def test_what_is_taken_llhttp_reads_the_same(first: bytes, lines: list[tuple[bytes, bytes, bytes]], end: bytes) -> None:
    head = first + end + b"".join(b"".join(line) + end for line in lines) + b"\r\n"
    taken(head if b"\r\n\r\n" in head else head + b"\r\n\r\n")


@given(st.binary(max_size=40), st.integers(0, 80))
def test_no_byte_within_a_head_makes_a_difference(noise: bytes, at: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\nServer: a\r\n\r\n"
    taken(head[:at] + noise + head[at:])


def test_usual_answers_are_taken() -> None:
    stays = b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
    head = b"HTTP/1.1 %b\r\nServer: nginx\r\n" + stays + b"Content-Length: 3\r\n%b\r\n"
    for status in (b"200 OK", b"404 Not Found", b"503 Busy", b"301 Moved"):
        assert taken(head % (status, b"Date: Sun, 22 Nov 2026 13:00:00 GMT\r\n"))


@pytest.mark.parametrize("line", ODD)
def test_other_statuses_are_not(line: bytes) -> None:
    assert not taken(line + b"\r\nContent-Length: 3\r\n\r\n")


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 1\r\nContent-Length: 1\r\n",
        b"Content-Length: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n",
        b"Content-Length: 1\r\nConnection: close\r\n",
        b"Content-Length: 1\r\nTrailer: x\r\n",
        b"Content-Length: 1\r\nUnheard-Of: x\r\n",
        b"Content-Length: 1\r\nServer: a\r\n b\r\n",
        b"Content-Length: +1\r\n",
    ],
)
def test_what_frames_steers_or_repeats_is_not(fields: bytes) -> None:
    assert not taken(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n")


def test_a_head_has_bounds() -> None:
    line = b"X-Thing: " + b"a" * 1000 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\n%bContent-Length: 3\r\n\r\n"
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(plain.LINES_MOST))
    for name in many.split(b": 1\r\n")[:-1]:
        lower_name(name)
    assert not taken(head % many)
    long = Answer()
    lower_name(b"X-Long")
    long.feed(head % (b"X-Long: " + b"a" * plain.HEAD_LONGEST + b"\r\n"))
    assert (long._left, long.has_head) == (0, True), "llhttp's"
    short = Answer()
    short.feed(head % line)
    assert short._left == 3


def test_cookies_are_never_remembered() -> None:
    secret = b"Set-Cookie: session=8f14e45fceea167a"
    assert taken(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + secret + b"\r\n\r\n")
    assert secret + b"\r" not in plain._lines.known
    assert b"Content-Length: 3\r" in plain._lines.known


def test_bytes_behind_the_body_are_dropped_and_end_the_connection() -> None:
    for pieces in ((b"abcd",), (b"ab", b"cd"), (b"", b"abc" + b"HTTP/1.1 200 OK\r\n\r\n")):
        read = Answer()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
        read.feed(head + pieces[0])
        for piece in pieces[1:]:
            read.feed(piece)
        assert (b"".join(read.chunks), read.whole, read.persists) == (b"abc", True, False)


def test_one_connection_may_carry_both_kinds_in_turns() -> None:
    read = Answer()
    for _ in range(2):
        read.expect(head_only=False, tunnel=False)
        read.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        assert (read.has_head, read.whole) == (True, False)
        read.feed(b"b")
        assert (read.chunks, read.whole, read.persists) == ([b"a", b"b"], True, True)
        read.expect(head_only=False, tunnel=False)
        read.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n")
        assert (read.chunks, read.whole, read.persists) == ([b"c"], True, True)


def test_a_refusal_is_llhttps_own() -> None:
    with pytest.raises(EdgeError) as caught:
        Answer().feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab")
    assert caught.value.kind is Kind.RESPONSE_INVALID
    assert plain.HEAD_LONGEST < answer.HEAD_LIMIT
