"""Plain heads: what the short way takes, llhttp takes too, and reads the same."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeproxy.errors import EdgeError
from edgeproxy.http.framing import frame, plain
from edgeproxy.http.headers import Headers, add, lower_name
from edgeproxy.http.message import Request
from edgeproxy.listener.http1.plain import ALIKE_MOST, BEGINNINGS_KEPT, LINE_LONGEST, LINES_KEPT, WINDOW, Reader

HEAD = b"GET /a/b?c=1 HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nUser-Agent: Tested/1.0\r\n\r\n"
# What a browser's heads begin with: long enough to be found by its first bytes.
BEGINNING = b"".join(name + b": " + name * 9 + b"\r\n" for name in (b"Sec-CH-UA", b"User-Agent", b"X-Thing", b"Accept"))
NAMES = (
    *(b"Sec-CH-UA", b"cookie"),
    *(b"Host", b"host", b"Accept", b"User-Agent", b"Cookie", b"Referer", b"Range", b"Authorization", b"X-Thing"),
    *(b"Connection", b"Content-Length", b"Transfer-Encoding", b"Upgrade", b"Expect", b"TE", b"Trailer", b"Keep-Alive"),
    *(b"X-Forwarded-For", b"Forwarded", b"X-Real-IP", b"Proxy-Connection", b"If-None-Match"),
)


class Oracle:
    """What llhttp makes of the bytes."""

    def __init__(self, data: bytes) -> None:
        self.fields: Headers = {}
        self.url = b""
        self.heads = self.messages = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        add(self.fields, name.lower(), value)

    def on_headers_complete(self) -> None:
        self.heads += 1
        self.method = self.parser.get_method()
        self.version = self.parser.get_http_version()
        self.keep_alive = self.parser.should_keep_alive()
        self.upgrade = self.parser.should_upgrade()

    def on_message_complete(self) -> None:
        self.messages += 1


@pytest.fixture(autouse=True, scope="module")
def _names_are_known() -> None:
    for name in NAMES:
        lower_name(name)


def parts(request: Request) -> tuple[object, ...]:
    target = (request.target, request.path, request.query)
    where = (request.scheme, request.authority, request.host)
    return (request.method, *target, *where, request.version, request.length, request.headers)


def same_as_llhttp(reader: Reader, data: bytes) -> bool:
    """Whether the head was taken; fails if it was and llhttp reads it otherwise."""
    fields: Headers = {}
    first = reader.read(data, fields)
    if first is None:
        return False
    oracle = Oracle(data)
    assert (oracle.heads, oracle.messages, oracle.keep_alive, oracle.upgrade) == (1, 1, True, False)
    assert (first.method, fields) == (oracle.method, oracle.fields)
    outcomes = []
    for read in (
        lambda: plain(first.method, first.target, first.path, first.query, dict(fields), b"https"),
        lambda: frame(oracle.method, oracle.url, oracle.version, dict(oracle.fields), b"https"),
    ):
        try:
            outcomes.append(parts(read()))
        except EdgeError as error:
            outcomes.append((error.kind, error.detail))
    assert outcomes[0] == outcomes[1]
    return True


def test_a_beginning_is_taken_whole_and_never_what_is_not_all_of_it() -> None:
    reader = Reader()
    own = b"Referer: http://a/\r\nCookie: a=b\r\n"
    for fields in (own, own, b"", own.replace(b"/a/", b"/b/"), b"Range: bytes=0-1\r\n"):
        assert same_as_llhttp(reader, b"GET / HTTP/1.1\r\n" + BEGINNING + b"Host: a\r\n" + fields + b"\r\n")
    assert len(reader._beginnings) == 1
    (beginning,) = reader._beginnings[BEGINNING[:WINDOW]]
    assert beginning.sent == BEGINNING + b"Host: a\r\n"
    for end in (b"Accept: again\r\n", b" folded\r\n", b": nameless\r\n", b"\r\n"):
        assert not same_as_llhttp(reader, b"GET / HTTP/1.1\r\n" + beginning.sent + end + b"\r\n")
    assert not same_as_llhttp(reader, b"GET / HTTP/1.1\r\n" + beginning.sent[:-2] + b"\r\n\r\n".replace(b"\r", b"", 1))
    changed = beginning.sent.replace(b"Host: a", b"Host: b")
    assert same_as_llhttp(reader, b"GET / HTTP/1.1\r\n" + changed + b"\r\n")


def test_a_browsers_head_is_taken_first_and_again() -> None:
    reader = Reader()
    assert same_as_llhttp(reader, HEAD)
    assert same_as_llhttp(reader, HEAD)
    assert same_as_llhttp(
        reader, HEAD.replace(b"GET", b"HEAD").replace(b"*/*\r\n", b"*/*\r\nConnection: keep-alive\r\n")
    )


@pytest.mark.parametrize(
    "change",
    [
        (b"GET", b"POST"),
        (b"GET", b"get"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"GET /a", b"GET  /a"),
        (b"GET /a", b"GET http://example.com/a"),
        (b"/a/b", b"/a\x80"),
        (b"/a/b", b"*"),
        (b"Accept:", b"Accept :"),
        (b"Accept:", b" Accept:"),
        (b"Accept: */*", b"Accept:"),
        (b"Accept: */*", b"Accept: */*\r\n folded"),
        (b"Accept: */*", b"Accept: a\rb"),
        (b"Accept: */*", b"Accept: a\nb"),
        (b"Accept: */*", b"Accept: a\0b"),
        (b"Accept: */*", b"Accept: */*\r\nAccept: text/html"),
        (b"Accept: */*", b"Content-Length: 0"),
        (b"Accept: */*", b"Transfer-Encoding: chunked"),
        (b"Accept: */*", b"Connection: close"),
        (b"Accept: */*", b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket"),
        (b"Accept: */*", b"Expect: 100-continue"),
        (b"Accept: */*", b"X-Forwarded-For: 10.0.0.1"),
        (b"Accept: */*", b"Forwarded: for=10.0.0.1"),
        (b"Accept: */*\r\n", b"\r\n"),
        (b"Accept: */*\r\n", b"Accept: */*\n"),
        (b"\r\n\r\n", b"\r\n"),
        (b"\r\n\r\n", b"\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n"),
        (b"GET", b"\r\nGET"),
        (b"Accept", b"Name-Nobody-Sent-Before"),
    ],
)
def test_whatever_is_not_plain_is_left_to_llhttp(change: tuple[bytes, bytes]) -> None:
    before, behind = change
    reader = Reader()
    assert same_as_llhttp(reader, HEAD)
    assert before in HEAD
    assert reader.read(HEAD.replace(before, behind, 1), {}) is None


lines = st.builds(
    lambda name, gap, value, end: name + b":" + gap + value + end,
    st.sampled_from(NAMES),
    st.sampled_from([b" ", b" ", b" ", b"", b"  ", b"\t"]),
    st.one_of(
        st.sampled_from(
            [b"example.com", b"keep-alive", b"close", b"chunked", b"0", b"", b"a b", b"x ", b"\xe4", b"a\tb"]
        ),
        st.binary(max_size=12),
    ),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]),
)
targets = st.one_of(st.sampled_from([b"/", b"/a?b#c", b"/%2e%2e/x", b"//x", b"/a/../b", b"*"]), st.binary(max_size=10))
starts = st.builds(
    lambda method, target, version, end: method + b" " + target + b" " + version + end,
    st.sampled_from([b"GET", b"GET", b"HEAD", b"POST", b"OPTIONS"]),
    targets,
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0"]),
    st.sampled_from([b"\r\n", b"\r\n", b"\n"]),
)


@given(
    heads=st.lists(st.tuples(starts, st.lists(lines, max_size=6)), min_size=1, max_size=4),
    beginning=st.sampled_from([b"", BEGINNING, BEGINNING + b"Host: a\r\n"]),
    cut=st.integers(0, 30),
)
@example(heads=[(b"GET / HTTP/1.1\r\n", [b"Host: a\r\n", b"Accept: b\r\n", b"Accept: b\r\n"])], beginning=b"", cut=0)
def test_what_is_taken_llhttp_reads_the_same(
    heads: list[tuple[bytes, list[bytes]]], beginning: bytes, cut: int
) -> None:
    reader = Reader()
    for _ in range(2):  # lines are learned first, and then what begins a head
        same_as_llhttp(reader, b"GET / HTTP/1.1\r\n" + beginning + b"\r\n")
    for start, fields in heads:
        data = start + beginning + b"".join(fields) + b"\r\n"
        same_as_llhttp(reader, data)
        same_as_llhttp(reader, data[: len(data) - cut])


@pytest.mark.interpreted
def test_what_is_remembered_has_a_bound_and_holds_no_secret() -> None:
    reader = Reader()
    for number in range(LINES_KEPT + 10):
        assert same_as_llhttp(reader, HEAD.replace(b"/a/b", b"/%d" % number).replace(b"Tested", b"Tested%d" % number))
    many = [b"GET / HTTP/1.1\r\nHost: h%d\r\n%b\r\n" % (number, BEGINNING) for number in range(BEGINNINGS_KEPT + 10)]
    for head in many:
        assert same_as_llhttp(reader, head)
    assert not reader._beginnings
    alike = [b"GET / HTTP/1.1\r\n%bHost: h%d\r\n\r\n" % (BEGINNING, number) for number in range(2 * ALIKE_MOST)]
    for head in (*many, *alike):
        assert same_as_llhttp(reader, head)
    assert len(reader._beginnings) <= BEGINNINGS_KEPT
    assert max(map(len, reader._beginnings.values())) == ALIKE_MOST
    assert len(reader._lines) <= LINES_KEPT
    assert len(reader._request_lines) <= LINES_KEPT
    long = b"x" * LINE_LONGEST
    assert same_as_llhttp(reader, HEAD.replace(b"/a/b", b"/" + long).replace(b"*/*", long))
    secret = b"Authorization: Bearer t0k3n\r\nCookie: session=1\r\nReferer: /s3cret"
    for _ in range(3):
        assert same_as_llhttp(reader, HEAD.replace(b"Accept: */*", secret))
        lower = secret.replace(b"Cookie", b"cookie")
        assert same_as_llhttp(reader, b"GET / HTTP/1.1\r\nHost: own\r\n%b%b\r\n\r\n" % (BEGINNING, lower))
    begun = [beginning for alike in reader._beginnings.values() for beginning in alike]
    assert not [one for one in begun if b"t0k" in one.sent or b"session" in one.sent or b"s3cret" in one.sent]
    assert not [
        line
        for line in (*reader._lines, *reader._request_lines)
        if long in line or b"t0k" in line or b"session" in line
    ]
