"""Requests and answers as Hypothesis makes them: valid ones with their meaning known, and ways to damage and to cut."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

_TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"
_PATH = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~!$&'()*+,;=:@"
_QUERY = _PATH + "/?"
_VALUE = "".join(map(chr, range(0x21, 0x7F)))

bodies = st.one_of(
    st.just(b""), st.binary(max_size=40), st.sampled_from([b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\n" * 9])
)
large_bodies = st.integers(1, 9).map(lambda n: bytes(range(256)) * 256 * n)


@dataclass(frozen=True)
class Sent:
    """A valid request's bytes and what they mean."""

    wire: bytes
    method: bytes
    target: bytes
    body: bytes


@dataclass(frozen=True)
class Given:
    """A valid answer's bytes and what they mean; ``close``: only the connection's end ends it."""

    wire: bytes
    method: bytes
    status: int
    body: bytes
    close: bool


@st.composite
def fields(draw: st.DrawFn) -> bytes:
    """Up to four field lines nobody gives a meaning to, with all the white space that is allowed."""
    lines = []
    for _ in range(draw(st.integers(0, 4))):
        name = "X-" + draw(st.text(_TOKEN, max_size=12))
        value = " \t".join(draw(st.lists(st.text(_VALUE, min_size=1, max_size=12), max_size=3)))
        before, behind = draw(st.sampled_from(["", " ", "\t", "  "])), draw(st.sampled_from(["", " ", "\t"]))
        lines.append(f"{name}:{before}{value}{behind}\r\n".encode())
    return b"".join(lines)


@st.composite
def chunks(draw: st.DrawFn, body: bytes) -> bytes:
    """``body`` in chunks of any size, with extensions and trailers, as RFC 9112 §7.1 lets them be."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(body) - 1)), max_size=4))) if len(body) > 1 else []
    out = bytearray()
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        if piece := body[start:end]:
            size = draw(st.sampled_from([b"%x", b"%X"])) % len(piece)
            out += size + draw(st.sampled_from([b"", b";a", b";a=b", b';a="b c"'])) + b"\r\n" + piece + b"\r\n"
    return bytes(out + b"0\r\n" + draw(st.sampled_from([b"", b"X-Sum: 1\r\n"])) + b"\r\n")


@st.composite
def framed(draw: st.DrawFn, body: bytes) -> bytes:
    """The framing field, other fields around it, the empty line and the body."""
    before, behind = draw(fields()), draw(fields())
    if draw(st.booleans()):
        coding = draw(st.sampled_from([b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:\tChunked\r\n"]))
        return before + coding + behind + b"\r\n" + draw(chunks(body))
    return before + b"Content-Length: %d\r\n" % len(body) + behind + b"\r\n" + body


@st.composite
def requests(draw: st.DrawFn, number: int = 0) -> Sent:
    """A valid request; ``number`` makes its target one of its kind."""
    method = draw(st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"]))
    path = draw(st.text(_PATH, max_size=20))
    query = draw(st.one_of(st.just(""), st.text(_QUERY, max_size=20).map(lambda text: "?" + text)))
    target = f"/{number}/{path}{query}".encode()
    start = method + b" " + target + b" HTTP/1.1\r\nHost: a.example\r\n"
    if method in {b"GET", b"HEAD", b"DELETE", b"OPTIONS"} and draw(st.booleans()):
        return Sent(start + draw(fields()) + b"\r\n", method, target, b"")
    body = draw(st.one_of(bodies, large_bodies.filter(lambda body: len(body) < 100_000)))
    return Sent(start + draw(framed(body)), method, target, body)


@st.composite
def pipelines(draw: st.DrawFn) -> list[Sent]:
    return [draw(requests(number)) for number in range(draw(st.integers(1, 5)))]


@st.composite
def answers(draw: st.DrawFn) -> Given:
    """A valid answer to GET or HEAD, interim answers before it included."""
    method = draw(st.sampled_from([b"GET", b"GET", b"GET", b"HEAD"]))
    status = draw(st.sampled_from([200, 200, 200, 203, 204, 301, 304, 404, 410, 500, 503]))
    interim = draw(
        st.sampled_from([b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 100 \r\n\r\n"])
    )
    reason = draw(st.sampled_from([b"OK", b"", b"Whatever it is"]))
    start = interim + b"HTTP/1.1 %d %b\r\n" % (status, reason)
    storing = draw(st.sampled_from([b"", b"Cache-Control: max-age=60\r\n", b"Cache-Control: no-store\r\n"]))
    start += storing
    if status in {204, 304}:
        return Given(start + draw(fields()) + b"\r\n", method, status, b"", close=False)
    body = draw(st.one_of(bodies, bodies, large_bodies))
    if draw(st.integers(0, 5)) == 0:
        wire = start + draw(fields()) + b"Connection: close\r\n\r\n"
        return Given(wire if method == b"HEAD" else wire + body, method, status, body, close=True)
    wire = start + draw(framed(body))
    if method == b"HEAD":
        head, _, _ = wire[len(interim) :].partition(b"\r\n\r\n")
        wire, body = interim + head + b"\r\n\r\n", b""
    return Given(wire, method, status, body, close=False)


@st.composite
def segments(draw: st.DrawFn, wire: bytes) -> list[bytes]:
    """``wire`` cut anywhere: byte by byte where it is short, in a few pieces, or not at all."""
    if len(wire) < 400 and draw(st.integers(0, 5)) == 0:
        return [wire[i : i + 1] for i in range(len(wire))]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(wire) - 1)), max_size=6)))
    return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True) if b > a]


_SPICE = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"-",
    b"+",
    b"\xff",
    b"\r\n ",
    b"0\r\n\r\n",
]
_FIELDS = [
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Host: b\r\n",
    b"\r\n",
]


@st.composite
def damaged(draw: st.DrawFn, wire: bytes) -> bytes:
    """``wire`` with one to four bytes or pieces put in, taken out, changed, doubled or moved."""
    data = bytearray(wire)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 400)))
        length = draw(st.integers(1, 8))
        match draw(st.sampled_from(["insert", "insert field", "delete", "replace", "double", "cut"])):
            case "insert":
                data[at:at] = draw(st.one_of(st.sampled_from(_SPICE), st.binary(min_size=1, max_size=3)))
            case "insert field":
                line = data.find(b"\r\n", at)
                data[line + 2 : line + 2] = draw(st.sampled_from(_FIELDS))
            case "delete":
                del data[at : at + length]
            case "replace":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "double":
                data[at:at] = data[at : at + length * 8]
            case "cut":
                del data[max(1, at) :]
    return bytes(data)
