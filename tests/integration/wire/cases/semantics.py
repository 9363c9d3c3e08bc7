"""Fields that steer the connection or the exchange (RFC 9110 §7.6, §7.8, §10.1.1, §14; RFC 9112 §9)."""

from __future__ import annotations

from tests.integration.wire.cases.case import HOST, SMUGGLED, Case, chunked, get, message, post

TAKEN = (200,)
EITHER = (200, 400)

_CONNECTION = "RFC 9110 §7.6.1: fields Connection names are removed, but never those that route or frame the message"
_HOP = "RFC 9110 §7.6.1: for one connection only"


def _connection() -> list[Case]:
    body = b"Content-Length: 5"
    cases = [
        Case(f"names {name.decode()}", "connection", sent, EITHER, _CONNECTION, origin=1)
        for name, sent in (
            (b"Host", get(b"Connection: host")),
            (b"Host and close", get(b"Connection: close, Host")),
            (b"Content-Length", post(b"Connection: content-length", body, body=b"hello")),
            (
                b"Content-Length with a request inside",
                post(b"Connection: Content-Length", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
            ),
            (b"Transfer-Encoding", chunked(b"3\r\nabc\r\n0\r\n\r\n", b"Connection: transfer-encoding")),
            (b"Authorization", get(b"Connection: authorization", b"Authorization: Basic eDp5")),
            (b"Cookie", get(b"Connection: cookie", b"Cookie: a=b")),
            (b"X-Forwarded-For", get(b"Connection: x-forwarded-for", b"X-Forwarded-For: 10.0.0.1")),
            (b"X-Forwarded-Proto", get(b"Connection: x-forwarded-proto, x-forwarded-host, forwarded, via")),
            (b"Cache-Control", get(b"Connection: cache-control", b"Cache-Control: no-cache")),
            (b"nothing", get(b"Connection:")),
            (b"commas", get(b"Connection: , ,")),
            (b"a quoted string", get(b'Connection: "close"')),
            (b"a thousand fields", get(b"Connection: " + b",".join(b"x%d" % i for i in range(1000)))),
            (b"keep-alive and close", get(b"Connection: keep-alive, close")),
            (b"upgrade without one", get(b"Connection: upgrade")),
            (b"another field", get(b"Connection: x-secret", b"X-Secret: 1")),
        )
    ]
    for field, trace in (
        (b"Keep-Alive: timeout=5, max=1000", b"\r\nkeep-alive:"),
        (b"Proxy-Connection: keep-alive", b"\r\nproxy-connection:"),
        (b"TE: trailers, deflate", b"deflate"),
        (b"Upgrade: foo/2", b"\r\nupgrade:"),
        (b"Proxy-Authorization: Basic eDp5", b"\r\nproxy-authorization:"),
    ):
        name = field.split(b":")[0].decode()
        cases.append(Case(f"{name} is not passed on", "connection", get(field), TAKEN, _HOP, never=(trace,)))
    return cases


_UPGRADE = "RFC 9110 §7.8, RFC 9113 §3.1: h2c's upgrade is gone; passed on it opens a tunnel past the proxy"
_H2C = (b"\r\nupgrade:", b"\r\nhttp2-settings:", b"h2c")
_SOCKET = (b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")


def _upgrades() -> list[Case]:
    settings = b"HTTP2-Settings: AAMAAABkAAQAAP__"
    cases = [
        Case(name, "upgrade", sent, EITHER, _UPGRADE, never=_H2C, answers=2)
        for name, sent in (
            ("h2c", get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", settings)),
            ("h2c without its settings", get(b"Connection: Upgrade", b"Upgrade: h2c")),
            ("h2c not named by Connection", get(b"Upgrade: h2c", settings)),
            ("h2c in upper case", get(b"Connection: UPGRADE", b"Upgrade: H2C", settings)),
            ("h2c behind websocket", get(b"Connection: Upgrade", b"Upgrade: websocket, h2c")),
            ("h2c before websocket", get(b"Connection: Upgrade", b"Upgrade: h2c", b"Upgrade: websocket")),
            (
                "h2c with a preface behind",
                get(
                    b"Connection: Upgrade, HTTP2-Settings",
                    b"Upgrade: h2c",
                    settings,
                    body=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                ),
            ),
        )
    ]
    plain = "RFC 9110 §7.8: an upgrade not granted leaves an HTTP/1.1 request, and what follows is one too"
    for name, sent, answers in (
        ("to TLS", get(b"Connection: Upgrade", b"Upgrade: TLS/1.0"), 1),
        ("to something unknown", get(b"Connection: Upgrade", b"Upgrade: foo"), 1),
        ("empty", get(b"Connection: Upgrade", b"Upgrade:"), 1),
        ("websocket not named by Connection", get(*_SOCKET), 1),
        ("websocket in HTTP/1.0", message(b"GET / HTTP/1.0", HOST, b"Connection: Upgrade", *_SOCKET), 1),
        ("websocket by POST", post(b"Connection: Upgrade", *_SOCKET, b"Content-Length: 0"), 1),
        ("websocket with a body", get(b"Connection: Upgrade", *_SOCKET, b"Content-Length: 5", body=b"hello"), 1),
        (
            "websocket with a request in its body",
            get(b"Connection: Upgrade", *_SOCKET, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
            1,
        ),
        (
            "websocket with chunks",
            get(b"Connection: Upgrade", *_SOCKET, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
            2,
        ),
        ("websocket and a request behind", get(b"Connection: Upgrade", *_SOCKET, body=SMUGGLED), 2),
        (
            "websocket of a bad version",
            get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 777"),
            1,
        ),
    ):
        cases.append(Case(name, "upgrade", sent, EITHER, plain, answers=answers, origin=answers))
    return cases


_EXPECT = "RFC 9110 §10.1.1: 100-continue, else 417; ignored in HTTP/1.0"


def _expectations() -> list[Case]:
    five = b"Content-Length: 5"
    old = message(b"POST / HTTP/1.0", HOST, b"Expect: 100-continue", five, body=b"hello")
    return [
        Case(name, "expect", sent, want, _EXPECT, answers=answers)
        for name, sent, want, answers in (
            ("with the body at once", post(b"Expect: 100-continue", five, body=b"hello"), TAKEN, 1),
            ("in another case", post(b"Expect: 100-Continue", five, body=b"hello"), TAKEN, 1),
            ("with chunks at once", chunked(b"3\r\nabc\r\n0\r\n\r\n", b"Expect: 100-continue"), TAKEN, 1),
            ("without a body", get(b"Expect: 100-continue"), (200, 400, 417), 1),
            ("with an empty body", post(b"Expect: 100-continue", b"Content-Length: 0"), TAKEN, 1),
            ("in HTTP/1.0", old, TAKEN, 1),
            ("twice", post(b"Expect: 100-continue", b"Expect: 100-continue", five, body=b"hello"), (200, 400, 417), 2),
            ("something else", post(b"Expect: 200-ok", five, body=b"hello"), (417,), 2),
            ("something else too", post(b"Expect: 100-continue, x", five, body=b"hello"), (417,), 2),
            ("with a parameter", post(b"Expect: 100-continue;q=1", five, body=b"hello"), (200, 417), 2),
            ("empty", post(b"Expect:", five, body=b"hello"), (200, 400, 417), 2),
            (
                "with a request in its body",
                post(b"Expect: 100-continue", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
                TAKEN,
                1,
            ),
            (
                "something else, a request in its body",
                post(b"Expect: x", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
                (417,),
                1,
            ),
            ("and the body never comes", post(b"Expect: 100-continue", five), (0, 400, 408), 1),
            ("and bad chunks", chunked(b"xyz\r\n", b"Expect: 100-continue"), (400,), 1),
        )
    ]


_RANGE = "RFC 9110 §14.2: Range may be ignored, and should be where it asks for too much"


def _ranges() -> list[Case]:
    return [
        Case(name, "range", get(b"Range: " + value), (200, 400, 416), _RANGE)
        for name, value in (
            ("a thousand overlapping", b"bytes=" + b",".join(b"0-" for _ in range(1000))),
            ("five hundred of one byte", b"bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(500))),
            ("backwards", b"bytes=5-1"),
            ("empty", b""),
            ("no numbers", b"bytes=-"),
            ("two to the 64", b"bytes=0-18446744073709551615"),
            ("beyond two to the 64", b"bytes=18446744073709551616-"),
            ("negative zero", b"bytes=-0"),
            ("another unit", b"lines=1-2"),
            ("nonsense", b"bytes=a-b"),
            ("only commas", b"bytes=,,,,"),
        )
    ]


_NAMES = "RFC 9110 §5.1, §5.3: a name is what it is, repeated lines of a field that is no list are ambiguous"
_FORGED = (b"10.9.9.", b"x_forwarded_")
_LISTS = {
    "two If-None-Matches": "RFC 9110 §13.1.2: If-None-Match is a list, and lists may be split over lines",
    "two If-Modified-Sinces": "RFC 9110 §13.1.3: a value that is no date is ignored",
}

_REPEATED: dict[str, tuple[bytes, ...]] = {
    "X_Forwarded_For": (b"X_Forwarded_For: 10.9.9.9",),
    "X_Forwarded_Proto": (b"X_Forwarded_Proto: https",),
    "a forged X-Forwarded-For": (b"X-Forwarded-For: 10.9.9.9",),
    "forged twice": (b"X-Forwarded-For: 10.9.9.9", b"x-forwarded-for: 10.9.9.8"),
    "a forged Forwarded": (b"Forwarded: for=10.9.9.9;proto=https",),
    "a forged X-Real-IP": (b"X-Real-IP: 192.0.2.1",),
    "two Authorizations": (b"Authorization: Basic eDp5", b"Authorization: Basic ejp6"),
    "two Cookies": (b"Cookie: a=1", b"Cookie: b=2"),
    "two Content-Types": (b"Content-Type: text/plain", b"Content-Type: text/html"),
    "two Ranges": (b"Range: bytes=0-0", b"Range: bytes=1-1"),
    "two User-Agents": (b"User-Agent: a", b"User-Agent: b"),
    "two If-None-Matches": (b'If-None-Match: "a"', b'If-None-Match: "b"'),
    "two If-Modified-Sinces": (b"If-Modified-Since: x", b"If-Modified-Since: y"),
    "method override": (b"X-HTTP-Method-Override: DELETE",),
    "original URL": (b"X-Original-URL: /admin", b"X-Rewrite-URL: /admin"),
}


def _names() -> list[Case]:
    kind = "names and repeats"
    return [
        Case(name, kind, get(*fields), EITHER, _NAMES, never=_FORGED, beyond_nginx=_LISTS.get(name, ""))
        for name, fields in _REPEATED.items()
    ]


def _limits() -> list[Case]:
    forwards = "RFC 9110 §7.6.2: TRACE or OPTIONS with Max-Forwards 0 is not passed on"
    options = get(b"Max-Forwards: 0", method=b"OPTIONS")
    star = message(b"OPTIONS * HTTP/1.1", HOST, b"Max-Forwards: 0")
    loop = "RFC 8586 §2: a request that carries this proxy's own CDN-Loop entry goes in a circle"
    return [
        Case("OPTIONS and Max-Forwards 0", "max-forwards", options, (200, 204, 400, 405), forwards, origin=0),
        Case("asterisk and Max-Forwards 0", "max-forwards", star, (200, 204, 400, 405), forwards, origin=0),
        Case("GET and Max-Forwards 0", "max-forwards", get(b"Max-Forwards: 0"), TAKEN, forwards),
        Case("negative", "max-forwards", get(b"Max-Forwards: -1", method=b"OPTIONS"), (200, 204, 400), forwards),
        Case("words", "max-forwards", get(b"Max-Forwards: x", method=b"OPTIONS"), (200, 204, 400), forwards),
        Case(
            "TRACE and Max-Forwards 0",
            "max-forwards",
            get(b"Max-Forwards: 0", method=b"TRACE"),
            (400, 405, 501),
            forwards,
            origin=0,
        ),
        Case("CDN-Loop naming this proxy", "loop", get(b"CDN-Loop: edgeproxy-wire"), (400, 508), loop, origin=0),
        Case("CDN-Loop naming another", "loop", get(b"CDN-Loop: other"), TAKEN, loop),
        Case("CDN-Loop naming a longer name", "loop", get(b"CDN-Loop: edgeproxy-wire-x"), TAKEN, loop),
        Case("CDN-Loop of garbage", "loop", get(b'CDN-Loop: ";;,"'), EITHER, loop),
    ]


CASES = [*_connection(), *_upgrades(), *_expectations(), *_ranges(), *_names(), *_limits()]
