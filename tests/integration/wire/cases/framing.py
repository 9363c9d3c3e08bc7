"""Where a message ends: Content-Length, Transfer-Encoding, chunks, trailers (RFC 9112 §6, §7)."""

from __future__ import annotations

from tests.integration.wire.cases.case import HOST, SMUGGLED, Case, chunked, get, message, post

REFUSED = (400,)
TAKEN = (200,)
EITHER = (200, 400)
CUT = (0, 400, 408)  # the rest never comes: a time-out, or a silent close

_LAST = b"0\r\n\r\n"
_BOTH = "RFC 9112 §6.1, §11.2: Content-Length beside Transfer-Encoding is an attempt to smuggle"


def _both() -> list[Case]:
    cases = []
    for casing in (bytes.title, bytes.lower, bytes.upper, bytes.swapcase):
        length, coding = casing(b"Content-Length"), casing(b"Transfer-Encoding")
        for value in (b"4", b"%d" % len(_LAST + SMUGGLED)):
            lines = [length + b": " + value, coding + b": chunked"]
            for order in (lines, lines[::-1]):
                name = " then ".join(line.split(b":")[0].decode() for line in order) + f" {value.decode()}"
                cases.append(Case(name, "cl-te", post(*order, body=_LAST + SMUGGLED), REFUSED, _BOTH))
    for name, fields in {
        "length 0 and chunked": (b"Content-Length: 0", b"Transfer-Encoding: chunked"),
        "length between two codings": (
            b"Transfer-Encoding: chunked",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
        ),
        "length and a coding split by fields": (
            b"Content-Length: 5",
            b"X: " + b"x" * 4000,
            b"Transfer-Encoding: chunked",
        ),
    }.items():
        cases.append(Case(name, "cl-te", post(*fields, body=_LAST + SMUGGLED), REFUSED, _BOTH))
    identity = post(b"Content-Length: 5", b"Transfer-Encoding: identity", body=b"hello" + SMUGGLED)
    cases.append(Case("length and identity", "cl-te", identity, (400, 501), _BOTH))
    old = message(b"POST / HTTP/1.0", HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked", body=_LAST + SMUGGLED)
    cases.append(Case("length and chunked in HTTP/1.0", "cl-te", old, REFUSED, _BOTH))
    return cases


_LENGTH = "RFC 9110 §8.6: Content-Length = 1*DIGIT; RFC 9112 §6.3: an invalid one cannot be recovered from"

_SPACE = "RFC 9112 §5.1, RFC 9110 §5.6.3: optional white space around a value is spaces and tabs"

_BAD_LENGTHS: dict[str, bytes] = {
    "empty": b"",
    "plus": b"+5",
    "minus": b"-5",
    "minus zero": b"-0",
    "hexadecimal": b"0x5",
    "hex digits": b"a",
    "inner space": b"5 5",
    "inner tab": b"5\t5",
    "fraction": b"5.0",
    "exponent": b"5e0",
    "words": b"five",
    "semicolon": b"5;",
    "quoted": b'"5"',
    "underscore": b"5_0",
    "fullwidth digit": b"\xef\xbc\x95",
    "superscript digit": b"\xb2",
    "vertical tab": b"5\x0b",
    "form feed": b"\x0c5",
    "NUL": b"5\x00",
    "DEL": b"5\x7f",
    "bare CR": b"5\r0",
    "list of the same": b"5, 5",
    "list of different": b"5, 6",
    "list without spaces": b"5,5",
    "list ending empty": b"5,",
    "list beginning empty": b",5",
    "only a comma": b",",
    "two to the 64": b"18446744073709551616",
    "two to the 64 plus 5": b"18446744073709551621",
    "two to the 32 plus 5 in hex": b"100000005h",
    "a hundred digits": b"9" * 100,
    "zero and hidden sign": b"0+5",
}


def _lengths() -> list[Case]:
    cases = [
        Case(name, "content-length", post(b"Content-Length: " + value, body=b"hello"), REFUSED, _LENGTH, answers=1)
        for name, value in _BAD_LENGTHS.items()
    ]
    several = "RFC 9112 §6.3: several Content-Length lines; the list form is never needed by an honest client"
    for first, second in ((b"5", b"5"), (b"5", b"6"), (b"5", b"0"), (b"0", b"5"), (b"5", b""), (b"05", b"5")):
        name = f"two lines {first.decode()} and {second.decode() or 'empty'}"
        sent = post(b"Content-Length: " + first, b"content-length: " + second, body=b"hello")
        cases.append(Case(name, "content-length", sent, REFUSED, several))
    for name, line in {
        "trailing space": b"Content-Length: 5 ",
        "several spaces before": b"Content-Length:    5",
        "tab before": b"Content-Length:\t5",
        "no space": b"Content-Length:5",
        "lower case": b"content-length: 5",
    }.items():
        sent = post(line, body=b"hello")
        cases.append(Case(name, "content-length", sent, TAKEN, _SPACE, beyond_nginx=_SPACE if b"\t" in line else ""))
    zeros = post(b"Content-Length: 00000000005", body=b"hello")
    cases += [
        Case("leading zeros", "content-length", zeros, EITHER, "RFC 9110 §8.6: 1*DIGIT allows them"),
        Case(
            "eight exabytes",
            "content-length",
            post(b"Content-Length: 9223372036854775807", body=b"hello"),
            (400, 413),
            "RFC 9110 §8.6: anticipate large numbers; §15.5.14",
        ),
        Case(
            "body shorter than the length",
            "content-length",
            post(b"Content-Length: 50", body=b"hello"),
            CUT,
            "RFC 9112 §8: incomplete",
        ),
        Case(
            "body longer than the length",
            "content-length",
            post(b"Content-Length: 5", body=b"helloworld\r\n\r\n"),
            TAKEN,
            "RFC 9112 §6.3: what follows is the next request, and not one",
            answers=2,
        ),
        Case(
            "underscore for dash",
            "content-length",
            post(b"Content_Length: 40", body=SMUGGLED),
            TAKEN,
            "RFC 9110 §5.1: another name, so no body: the rest is a request of its own",
            answers=2,
        ),
        Case(
            "white space before the name",
            "content-length",
            message(b"POST / HTTP/1.1", b" Content-Length: 5", HOST, body=b"hello"),
            REFUSED,
            "RFC 9112 §2.2: white space between start line and first field",
        ),
    ]
    for name, byte in {"space": b" ", "tab": b"\t", "vertical tab": b"\x0b", "NUL": b"\x00"}.items():
        sent = post(b"Content-Length" + byte + b": 5", body=b"hello")
        note = "RFC 9112 §5.1: no white space between name and colon"
        cases.append(Case(f"{name} before the colon", "content-length", sent, REFUSED, note))
    return cases


_CODING = "RFC 9112 §6.1, §6.3: chunked must be the final coding, once; an unknown one is 501"

_CODINGS: dict[str, tuple[tuple[int, ...], tuple[bytes, ...]]] = {
    "xchunked": ((400, 501), (b"Transfer-Encoding: xchunked",)),
    "chunkedx": ((400, 501), (b"Transfer-Encoding: chunkedx",)),
    "chunked twice": ((400, 501), (b"Transfer-Encoding: chunked, chunked",)),
    "chunked then identity": ((400, 501), (b"Transfer-Encoding: chunked, identity",)),
    "identity then chunked": ((400, 501), (b"Transfer-Encoding: identity, chunked",)),
    "identity": ((400, 501), (b"Transfer-Encoding: identity",)),
    "gzip": ((400, 501), (b"Transfer-Encoding: gzip",)),
    "gzip then chunked": ((400, 501), (b"Transfer-Encoding: gzip, chunked",)),
    "chunked then gzip": ((400, 501), (b"Transfer-Encoding: chunked, gzip",)),
    "chunked with a parameter": ((400, 501), (b"Transfer-Encoding: chunked;q=1",)),
    "chunked and semicolon": ((400, 501), (b"Transfer-Encoding: chunked;",)),
    "quoted": ((400, 501), (b'Transfer-Encoding: "chunked"',)),
    "single quotes": ((400, 501), (b"Transfer-Encoding: 'chunked'",)),
    "split word": ((400, 501), (b"Transfer-Encoding: chun ked",)),
    "behind a colon": ((400, 501), (b"Transfer-Encoding:: chunked",)),
    "empty": ((400, 501), (b"Transfer-Encoding:",)),
    "vertical tab behind": (REFUSED, (b"Transfer-Encoding: chunked\x0b",)),
    "vertical tab before": (REFUSED, (b"Transfer-Encoding: \x0bchunked",)),
    "form feed behind": (REFUSED, (b"Transfer-Encoding: chunked\x0c",)),
    "NUL behind": (REFUSED, (b"Transfer-Encoding: chunked\x00",)),
    "DEL behind": (REFUSED, (b"Transfer-Encoding: chunked\x7f",)),
    "no-break space": ((400, 501), (b"Transfer-Encoding: \xa0chunked",)),
    "dotted c": ((400, 501), (b"Transfer-Encoding: \xc4\x8bhunked",)),
    "list ending empty": ((200, 400, 501), (b"Transfer-Encoding: chunked,",)),
    "list beginning empty": ((200, 400, 501), (b"Transfer-Encoding: ,chunked",)),
    "two lines of chunked": ((400, 501), (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked")),
    "two lines, identity last": ((400, 501), (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity")),
    "two lines, chunked last": ((400, 501), (b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked")),
    "two lines, gzip first": ((400, 501), (b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked")),
    "two lines, second empty": ((200, 400, 501), (b"Transfer-Encoding: chunked", b"Transfer-Encoding:")),
    "folded": (REFUSED, (b"Transfer-Encoding:\r\n chunked",)),
    "folded behind another": (REFUSED, (b"Transfer-Encoding: x\r\n\tchunked",)),
    "folded into another field": (REFUSED, (b"X: y\r\n Transfer-Encoding: chunked",)),
    "space before the colon": (REFUSED, (b"Transfer-Encoding : chunked",)),
    "tab before the colon": (REFUSED, (b"Transfer-Encoding\t: chunked",)),
    "NUL in the name": (REFUSED, (b"Transfer-Encoding\x00: chunked",)),
    "no colon": (REFUSED, (b"Transfer-Encoding chunked",)),
    "behind a bare LF": (REFUSED, (b"X: y\nTransfer-Encoding: chunked",)),
    "behind a bare CR": (REFUSED, (b"X: y\rTransfer-Encoding: chunked",)),
    "tab before": (TAKEN, (b"Transfer-Encoding:\tchunked",)),
    "tab behind": ((200, 400, 501), (b"Transfer-Encoding: chunked\t",)),
    "space behind": ((200, 400, 501), (b"Transfer-Encoding: chunked ",)),
    "upper case": (TAKEN, (b"TRANSFER-ENCODING: CHUNKED",)),
    "mixed case": (TAKEN, (b"tRANSFER-eNCODING: ChUnKeD",)),
}


def _codings() -> list[Case]:
    cases = [
        Case(
            name,
            "transfer-encoding",
            post(*fields, body=b"3\r\nabc\r\n" + _LAST),
            want,
            _CODING,
            beyond_nginx=_SPACE if name in {"tab before", "tab behind", "space behind"} else "",
        )
        for name, (want, fields) in _CODINGS.items()
    ]
    other = "RFC 9110 §5.1: another name, so no body: the rest is no request"
    for name, line in {
        "underscore for dash": b"Transfer_Encoding: chunked",
        "longer name": b"Transfer-Encoding-X: chunked",
        "TE is not Transfer-Encoding": b"TE: chunked",
    }.items():
        sent = post(line, body=_LAST + SMUGGLED)
        cases.append(Case(name, "transfer-encoding", sent, TAKEN, other, answers=2, origin=1))
    for version in (b"HTTP/1.0", b"HTTP/1.0\r\nConnection: keep-alive"):
        sent = message(b"POST / " + version, HOST, b"Transfer-Encoding: chunked", body=_LAST + SMUGGLED)
        name = "in HTTP/1.0" + (" with keep-alive" if b"keep" in version else "")
        cases.append(Case(name, "transfer-encoding", sent, REFUSED, "RFC 9112 §6.1: framing in HTTP/1.0 is faulty"))
    return cases


_SIZE = "RFC 9112 §7.1: chunk-size = 1*HEXDIG, then an extension or CRLF"

_BAD_SIZES: dict[str, bytes] = {
    "0x": b"0x3\r\nabc\r\n",
    "minus": b"-3\r\nabc\r\n",
    "plus": b"+3\r\nabc\r\n",
    "no hex digit": b"g\r\nabc\r\n",
    "empty line": b"\r\nabc\r\n",
    "extension alone": b";x\r\nabc\r\n",
    "space before": b" 3\r\nabc\r\n",
    "tab before": b"\t3\r\nabc\r\n",
    "inner space": b"3 3\r\nabc\r\n",
    "underscore": b"0_3\r\nabc\r\n",
    "fraction": b"3.0\r\nabc\r\n",
    "h suffix": b"3h\r\nabc\r\n",
    "NUL behind": b"3\x00\r\nabc\r\n",
    "vertical tab behind": b"3\x0b\r\nabc\r\n",
    "fullwidth digit": b"\xef\xbc\x93\r\nabc\r\n",
    "two to the 64 plus 3": b"10000000000000003\r\nabc\r\n",
    "sixteen F and more": b"FFFFFFFFFFFFFFFFF\r\nabc\r\n",
    "line ended by LF": b"3\nabc\r\n",
    "line ended by CR": b"3\rabc\r\n",
    "line ended by CR CR LF": b"3\r\r\nabc\r\n",
    "data longer": b"3\r\nabcd\r\n",
    "data shorter": b"4\r\nabc\r\n",
    "no CRLF behind data": b"3\r\nabc",
    "LF behind data": b"3\r\nabc\n",
    "CR behind data": b"3\r\nabc\r",
    "two other bytes behind data": b"3\r\nabcXX",
    "LF in an extension": b"3;a\nx\r\nabc\r\n",
    "CR in an extension": b"3;a\rx\r\nabc\r\n",
    "NUL in an extension": b"3;a\x00b\r\nabc\r\n",
    "control byte in an extension": b"3;a=\x01\r\nabc\r\n",
    "DEL in an extension": b"3;a=\x7f\r\nabc\r\n",
    "LF in a quoted extension": b'3;a="\n"\r\nabc\r\n',
}


def _chunks() -> list[Case]:
    cases = [Case(name, "chunk", chunked(wire + _LAST), REFUSED, _SIZE) for name, wire in _BAD_SIZES.items()]
    for name, want, wire in (
        ("space behind the size", EITHER, b"3 \r\nabc\r\n" + _LAST),
        ("tab behind the size", EITHER, b"3\t\r\nabc\r\n" + _LAST),
        ("extension behind a space", EITHER, b"3 ;a=b\r\nabc\r\n" + _LAST),
        ("extension", TAKEN, b"3;a=b\r\nabc\r\n" + _LAST),
        ("extension without a value", TAKEN, b"3;a\r\nabc\r\n" + _LAST),
        ("empty extension", EITHER, b"3;\r\nabc\r\n" + _LAST),
        ("quoted extension", TAKEN, b'3;a="b;c"\r\nabc\r\n' + _LAST),
        ("huge extension", (400, 413, 431), b"3;" + b"a" * 70_000 + b"\r\nabc\r\n" + _LAST),
        ("many extensions", (200, 400, 413, 431), (b"3;" + b"a" * 1000 + b"\r\nabc\r\n") * 100 + _LAST),
        ("upper-case hex", TAKEN, b"A\r\n0123456789\r\n" + _LAST),
        ("leading zeros", EITHER, b"0003\r\nabc\r\n" + _LAST),
        ("three hundred leading zeros", EITHER, b"0" * 300 + b"3\r\nabc\r\n" + _LAST),
        ("two to the 63", (0, 400, 408, 413), b"8000000000000000\r\nabc\r\n" + _LAST),
        ("two to the 64 less 1", (0, 400, 408, 413), b"FFFFFFFFFFFFFFFF\r\nabc\r\n" + _LAST),
        ("last chunk of two zeros", EITHER, b"3\r\nabc\r\n00\r\n\r\n"),
        ("last chunk with an extension", TAKEN, b"3\r\nabc\r\n0;a=b\r\n\r\n"),
        ("last chunk minus zero", REFUSED, b"3\r\nabc\r\n-0\r\n\r\n"),
        ("last chunk 0x0", REFUSED, b"3\r\nabc\r\n0x0\r\n\r\n"),
        ("last chunk ended by LF", REFUSED, b"3\r\nabc\r\n0\n\n"),
        ("end ended by LF", REFUSED, b"3\r\nabc\r\n0\r\n\n"),
        ("end ended by CR", (0, 400, 408), b"3\r\nabc\r\n0\r\n\r"),
        ("no last chunk", CUT, b"3\r\nabc\r\n"),
        ("no final CRLF", CUT, b"3\r\nabc\r\n0\r\n"),
        ("cut inside a size", CUT, b"3\r\nabc\r\n1"),
        ("cut inside data", CUT, b"30\r\nabc"),
        ("nothing at all", CUT, b""),
    ):
        cases.append(Case(name, "chunk", chunked(wire), want, _SIZE))
    hidden = b"%x\r\n%b\r\n" % (len(SMUGGLED), SMUGGLED)
    cases.append(Case("a request inside a chunk", "chunk", chunked(hidden + _LAST), TAKEN, _SIZE, origin=1))
    return cases


_TRAILER = "RFC 9112 §7.1.2, RFC 9110 §6.5.1: trailers obey field syntax and may not frame, route or authenticate"

_TRAILERS: dict[str, tuple[tuple[int, ...], bytes]] = {
    "plain": (TAKEN, b"X-Sum: 1\r\n"),
    "Content-Length": (EITHER, b"Content-Length: 40\r\n"),
    "Transfer-Encoding": (EITHER, b"Transfer-Encoding: chunked\r\n"),
    "Host": (EITHER, b"Host: evil.example\r\n"),
    "Authorization": (EITHER, b"Authorization: Basic eDp5\r\n"),
    "Connection": (EITHER, b"Connection: close\r\n"),
    "Cookie": (EITHER, b"Cookie: admin=1\r\n"),
    "X-Forwarded-For": (EITHER, b"X-Forwarded-For: 10.0.0.1\r\n"),
    "folded": (REFUSED, b"X: a\r\n b\r\n"),
    "NUL": (REFUSED, b"X: a\x00b\r\n"),
    "bare CR": (REFUSED, b"X: a\rb\r\n"),
    "bare LF": (REFUSED, b"X: a\nY: b\r\n"),
    "no colon": (REFUSED, b"smuggled\r\n"),
    "space before the colon": (REFUSED, b"X : a\r\n"),
    "empty name": (REFUSED, b": a\r\n"),
    "a request line": (REFUSED, b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n"),
    "one of 70 kB": ((400, 431), b"X: " + b"a" * 70_000 + b"\r\n"),
    "two thousand of them": ((400, 431), b"".join(b"X-%d: a\r\n" % i for i in range(2000))),
}


def _trailers() -> list[Case]:
    return [
        Case(
            name,
            "trailer",
            chunked(b"3\r\nabc\r\n0\r\n" + lines + b"\r\n"),
            want,
            _TRAILER,
            never=(b"\r\nhost: evil.example", b"basic edp5", b"admin=1", b"\r\ncontent-length: 40"),
        )
        for name, (want, lines) in _TRAILERS.items()
    ]


def _hidden() -> list[Case]:
    """Whole requests where a body is: they are a body."""
    length = b"Content-Length: %d" % len(SMUGGLED)
    rule = "RFC 9112 §6.3: a request's body is framed by its own fields, whatever its method"
    cases = [
        Case(
            f"in the body of {method.decode()}",
            "hidden request",
            get(length, method=method, body=SMUGGLED),
            want,
            rule,
            origin=1,
        )
        for method, want in (
            (b"GET", TAKEN),
            (b"HEAD", TAKEN),
            (b"POST", TAKEN),
            (b"PUT", TAKEN),
            (b"DELETE", TAKEN),
            (b"OPTIONS", TAKEN),
            (b"TRACE", (400, 405, 501)),
        )
    ]
    closing = "RFC 9112 §9.6: nothing behind a request with close is a request"
    for name, sent, answers, note in (
        ("behind Connection: close", get(b"Connection: close", body=SMUGGLED), 1, closing),
        ("behind an HTTP/1.0 request", message(b"GET / HTTP/1.0", HOST, body=SMUGGLED), 1, "RFC 9112 §9.3"),
        ("pipelined", get(body=SMUGGLED), 2, "RFC 9112 §9.3.2: two requests, two answers"),
        (
            "behind a length one too short",
            post(b"Content-Length: %d" % (len(SMUGGLED) + 1), body=b"xx" + SMUGGLED),
            2,
            rule,
        ),
        ("behind HEAD without a body", get(method=b"HEAD", body=SMUGGLED), 2, "RFC 9112 §6.3: HEAD has no body"),
    ):
        cases.append(Case(name, "hidden request", sent, TAKEN, note, answers=answers))
    return cases


CASES = [*_both(), *_lengths(), *_codings(), *_chunks(), *_trailers(), *_hidden()]
