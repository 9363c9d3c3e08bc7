"""The request line, field lines, and how much of them (RFC 9112 §2 to §5)."""

from __future__ import annotations

from tests.integration.wire.cases.case import HOST, SMUGGLED, Case, get, message

REFUSED = (400,)
TAKEN = (200,)
EITHER = (200, 400)

_LINE = "RFC 9112 §3: method SP request-target SP HTTP-version CRLF; several spaces may be read as one"

_LINES: dict[str, tuple[tuple[int, ...], bytes]] = {
    "two spaces before the target": (EITHER, b"GET  / HTTP/1.1\r\n"),
    "two spaces before the version": (EITHER, b"GET /  HTTP/1.1\r\n"),
    "tab before the target": (REFUSED, b"GET\t/ HTTP/1.1\r\n"),
    "tab before the version": (REFUSED, b"GET /\tHTTP/1.1\r\n"),
    "trailing space": (REFUSED, b"GET / HTTP/1.1 \r\n"),
    "trailing tab": (REFUSED, b"GET / HTTP/1.1\t\r\n"),
    "leading space": (REFUSED, b" GET / HTTP/1.1\r\n"),
    "leading tab": (REFUSED, b"\tGET / HTTP/1.1\r\n"),
    "leading NUL": (REFUSED, b"\x00GET / HTTP/1.1\r\n"),
    "byte order mark": (REFUSED, b"\xef\xbb\xbfGET / HTTP/1.1\r\n"),
    "one word more": (REFUSED, b"GET / x HTTP/1.1\r\n"),
    "two versions": (REFUSED, b"GET / HTTP/1.1 HTTP/1.1\r\n"),
    "ended by CR": (REFUSED, b"GET / HTTP/1.1\r"),
    "ended by LF": (REFUSED, b"GET / HTTP/1.1\n"),
    "ended by CR CR LF": (REFUSED, b"GET / HTTP/1.1\r\r\n"),
    "form feed between": (REFUSED, b"GET\x0c/ HTTP/1.1\r\n"),
    "vertical tab between": (REFUSED, b"GET /\x0bHTTP/1.1\r\n"),
    "folded": (REFUSED, b"GET /\r\n HTTP/1.1\r\n"),
    "no target": (REFUSED, b"GET HTTP/1.1\r\n"),
    "empty target": (REFUSED, b"GET  HTTP/1.1\r\n"),
    "method alone": (REFUSED, b"GET\r\n"),
}

_METHOD = "RFC 9110 §9.1: a method is a token; one that is not known is 501"

_METHODS: dict[str, tuple[tuple[int, ...], bytes]] = {
    "empty": (REFUSED, b""),
    "lower case": ((200, 400, 405, 501), b"get"),
    "mixed case": ((200, 400, 405, 501), b"GeT"),
    "of a thousand letters": ((200, 400, 405, 501), b"G" * 1000),
    "of 50,000 letters": ((400, 414, 431, 501), b"G" * 50_000),
    "unknown": ((200, 400, 405, 501), b"FROBNICATE"),
    "with a slash": (REFUSED, b"GET/"),
    "with a colon": (REFUSED, b"GET:"),
    "with parentheses": (REFUSED, b"G(E)T"),
    "with a control byte": (REFUSED, b"G\x01T"),
    "with a NUL": (REFUSED, b"GET\x00"),
    "with a bare CR": (REFUSED, b"G\rET"),
    "with a bare LF": (REFUSED, b"G\nET"),
    "with an accent": (REFUSED, b"G\xc9T"),
    "TRACE": ((400, 405, 501), b"TRACE"),
    "TRACK": ((200, 400, 405, 501), b"TRACK"),
    "DEBUG": ((200, 400, 405, 501), b"DEBUG"),
    "PURGE": ((200, 400, 403, 405, 501), b"PURGE"),
    "a prefix of GET": ((200, 400, 405, 501), b"GE"),
}

_VERSION = "RFC 9112 §2.3: HTTP/DIGIT.DIGIT, case-sensitive; RFC 9110 §15.6.6: a major version not spoken is 505"

_VERSIONS: dict[str, tuple[tuple[int, ...], bytes]] = {
    "0.9": ((400, 505), b"HTTP/0.9"),
    "1.2": ((200, 400, 505), b"HTTP/1.2"),
    "1.9": ((200, 400, 505), b"HTTP/1.9"),
    "2.0": ((400, 505), b"HTTP/2.0"),
    "3": ((400, 505), b"HTTP/3"),
    "9.9": ((400, 505), b"HTTP/9.9"),
    "no minor": ((400, 505), b"HTTP/1"),
    "empty minor": ((400, 505), b"HTTP/1."),
    "leading zero": ((400, 505), b"HTTP/01.1"),
    "zero before the minor": ((400, 505), b"HTTP/1.01"),
    "three parts": ((400, 505), b"HTTP/1.1.1"),
    "two digits": ((400, 505), b"HTTP/1.10"),
    "lower case": ((400, 505), b"http/1.1"),
    "mixed case": ((400, 505), b"HttP/1.1"),
    "a comma": ((400, 505), b"HTTP/1,1"),
    "no slash": ((400, 505), b"HTTP 1.1"),
    "plus": ((400, 505), b"HTTP/+1.1"),
    "minus": ((400, 505), b"HTTP/-1.1"),
    "a letter behind": ((400, 505), b"HTTP/1.1x"),
    "NUL behind": ((400, 505), b"HTTP/1.1\x00"),
    "fullwidth digit": ((400, 505), b"HTTP/\xef\xbc\x91.1"),
    "another protocol": ((400, 505), b"HTTPS/1.1"),
    "RTSP": ((400, 505), b"RTSP/1.0"),
    "ICE": ((400, 505), b"ICE/1.0"),
    "SIP": ((400, 505), b"SIP/2.0"),
    "empty": ((400, 505), b""),
}


def _request_lines() -> list[Case]:
    rest = HOST + b"\r\n\r\n"
    cases = [Case(name, "request line", line + rest, want, _LINE) for name, (want, line) in _LINES.items()]
    beyond = "RFC 9110 §9.1: methods are case-sensitive tokens; what is not known is the origin's to answer"
    cases += [
        Case(name, "method", get(method=method), want, _METHOD, beyond_nginx=beyond if 200 in want else "")
        for name, (want, method) in _METHODS.items()
    ]
    later = "RFC 9110 §2.5: a higher minor version is read as the highest minor version spoken"
    cases += [
        Case(
            name, "version", message(b"GET / " + text, HOST), want, _VERSION, beyond_nginx=later if 200 in want else ""
        )
        for name, (want, text) in _VERSIONS.items()
    ]
    empty_lines = "RFC 9112 §2.2: at least one empty line before a request line is ignored"
    for name, before, want in (
        ("one empty line before", b"\r\n", TAKEN),
        ("an empty LF line before", b"\n", EITHER),
        ("a thousand empty lines before", b"\r\n" * 1000, EITHER),
        ("a bare CR before", b"\r", EITHER),
    ):
        cases.append(Case(name, "request line", before + get(), want, empty_lines))
    cases += [
        Case(
            "HTTP/0.9 request", "version", b"GET /\r\n", (0, 400, 408, 505), "RFC 9112 appendix C.1: 0.9 is not spoken"
        ),
        Case(
            "HTTP/2 preface",
            "version",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9,
            (0, 400, 405, 505),
            "RFC 9113 §3.4",
        ),
        Case(
            "HTTP/1.1 without Host but 1.0 rules",
            "version",
            message(b"GET / HTTP/1.0"),
            TAKEN,
            "RFC 9112 §3.2: Host is required from 1.1 on",
        ),
    ]
    return cases


_FIELD = "RFC 9112 §5: token, colon, value; RFC 9110 §5.5: CR, LF and NUL in a value are dangerous"

_FIELDS: dict[str, tuple[tuple[int, ...], bytes]] = {
    "folded by space": (REFUSED, b"X: a\r\n b"),
    "folded by tab": (REFUSED, b"X: a\r\n\tb"),
    "folded, empty line": (REFUSED, b"X: a\r\n \r\nY: b"),
    "folded twice": (REFUSED, b"X: a\r\n b\r\n c"),
    "folded value alone": (REFUSED, b"X:\r\n a"),
    "bare CR in a value": (REFUSED, b"X: a\rb"),
    "bare CR ends a value": (REFUSED, b"X: a\rY: b"),
    "bare LF ends a line": (REFUSED, b"X: a\nY: b"),
    "bare LF and a request": (REFUSED, b"X: a\n\nGET /smuggled HTTP/1.1\nHost: a.example"),
    "bare CR and a request": (REFUSED, b"X: a\r\rGET /smuggled HTTP/1.1\rHost: a.example"),
    "CR CR LF": (REFUSED, b"X: a\r\r\nY: b"),
    "LF CR": (REFUSED, b"X: a\n\rY: b"),
    "space before the colon": (REFUSED, b"X : a"),
    "tab before the colon": (REFUSED, b"X\t: a"),
    "space before the name": (REFUSED, b" X: a"),
    "empty name": (REFUSED, b": a"),
    "colon alone": (REFUSED, b":"),
    "two colons first": (REFUSED, b":: a"),
    "no colon": (REFUSED, b"X a"),
    "a word": (REFUSED, b"X"),
    "a control byte alone": (REFUSED, b"\x01"),
    "space in a name": (REFUSED, b"X Y: a"),
    "pseudo-header": (REFUSED, b":method: GET"),
    "name with an accent": (REFUSED, b"N\xe4me: a"),
    "name in UTF-8": (REFUSED, b"\xc3\xa4: a"),
    "name with DEL": (REFUSED, b"X\x7f: a"),
    "empty value": (TAKEN, b"X:"),
    "value of spaces": (TAKEN, b"X:    "),
    "value with a tab": (TAKEN, b"X: a\tb"),
    "value with Latin-1": (TAKEN, b"X: caf\xe9"),
    "value in UTF-8": (TAKEN, b"X: \xe2\x82\xac"),
    "value with colons": (TAKEN, b"X: a: b: c"),
    "name of every token character": (TAKEN, b"!#$%&'*+-.^_`|~09azAZ: a"),
}

_CONTROLS = (0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x1B, 0x1F, 0x7F)
_SEPARATORS = b'"(),/;<=>?@[\\]{}'


def _fields() -> list[Case]:
    beyond = "RFC 9110 §5.1: any token is a field name"
    cases = [
        Case(name, "field", get(line), want, _FIELD, beyond_nginx=beyond if "token" in name else "")
        for name, (want, line) in _FIELDS.items()
    ]
    for code in _CONTROLS:
        byte = bytes((code,))
        cases.append(Case(f"control byte {code:#04x} in a value", "field", get(b"X: a" + byte + b"b"), REFUSED, _FIELD))
        cases.append(Case(f"control byte {code:#04x} in a name", "field", get(b"X" + byte + b"Y: a"), REFUSED, _FIELD))
    for separator in _SEPARATORS.decode():
        line = f"X{separator}Y: a".encode()
        cases.append(Case(f"{separator} in a name", "field", get(line), REFUSED, "RFC 9110 §5.6.2: not a token"))
    first = "RFC 9112 §2.2: white space between start line and first field"
    for name, line in (("space", b" Host: evil.example"), ("tab", b"\tHost: evil.example"), ("blank line", b" ")):
        sent = message(b"GET / HTTP/1.1", line, HOST)
        cases.append(Case(f"{name} before the first field", "field", sent, REFUSED, first))
    cases.append(
        Case(
            "every line ended by LF",
            "field",
            b"GET / HTTP/1.1\nHost: a.example\n\n",
            REFUSED,
            "RFC 9112 §2.2: LF alone may be taken, and is where parsers differ",
        )
    )
    cases.append(
        Case(
            "head ended by LF LF",
            "field",
            b"GET / HTTP/1.1\r\nHost: a.example\n\n" + SMUGGLED,
            REFUSED,
            "RFC 9112 §2.2: LF alone may be taken, and is where parsers differ",
        )
    )
    return cases


_SIZE = "RFC 9110 §5.4, RFC 6585 §5, RFC 9112 §3: a head has limits; 431, a target 414"


def _sizes() -> list[Case]:
    large = b"x" * 70_000
    line = get(target=b"/" + b"a" * 70_000)
    return [
        Case("target of 70 kB", "size", line, (414,), "RFC 9110 §15.5.15"),
        Case("query of 70 kB", "size", get(target=b"/?" + b"a" * 70_000), (414,), "RFC 9110 §15.5.15"),
        Case("value of 70 kB", "size", get(b"X: " + large), (400, 431), _SIZE),
        Case("name of 70 kB", "size", get(large + b": a"), (400, 431), _SIZE),
        Case("cookie of 70 kB", "size", get(b"Cookie: " + large), (400, 431), _SIZE),
        Case("Host of 70 kB", "size", message(b"GET / HTTP/1.1", b"Host: " + large), (400, 431), _SIZE),
        Case("a thousand fields", "size", get(*[b"X-%d: a" % i for i in range(1000)]), (400, 431), _SIZE),
        Case("one name a thousand times", "size", get(*[b"X: a"] * 1000), (400, 431), _SIZE),
        Case(
            "a hundred fields of 1 kB",
            "size",
            get(*[b"X-%d: " % i + b"a" * 1000 for i in range(100)]),
            (400, 431),
            _SIZE,
        ),
        Case("a head that never ends", "size", b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 50_000, (400, 431), _SIZE),
        Case("a field that never ends", "size", b"GET / HTTP/1.1\r\nX: " + b"a" * 300_000, (400, 431), _SIZE),
        Case("a method that never ends", "size", b"G" * 300_000, (400, 414, 431, 501), _SIZE),
        Case("a head cut in the middle", "size", b"GET / HTTP/1.1\r\nHost: a.exa", (0, 400, 408), "RFC 9112 §8"),
        Case("a request line cut in the middle", "size", b"GET /abc", (0, 400, 408), "RFC 9112 §8"),
    ]


def _other_protocols() -> list[Case]:
    hello = bytes.fromhex("16030100310100002d0303") + b"r" * 32 + bytes.fromhex("000002130101000002000000")
    rule = "RFC 9112 §2.2: what is no HTTP message is answered 400 and closed, or just closed"
    return [
        Case(name, "other protocol", sent, (0, 400, 408), rule)
        for name, sent in (
            ("TLS ClientHello", hello),
            ("SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n"),
            ("PROXY v1 from an untrusted address", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get()),
            ("PROXY v2 from an untrusted address", bytes.fromhex("0d0a0d0a000d0a515549540a21110000") + get()),
            ("zeros", b"\x00" * 1000),
            ("every byte", bytes(range(256))),
            ("SMTP", b"EHLO a.example\r\n"),
            ("an HTTP response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ("empty lines only", b"\r\n" * 20),
        )
    ]


CASES = [*_request_lines(), *_fields(), *_sizes(), *_other_protocols()]
