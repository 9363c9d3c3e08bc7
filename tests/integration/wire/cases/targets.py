"""Whose it is and what is asked for: Host, the four target forms, paths (RFC 9112 §3.2, RFC 9110 §7, RFC 3986)."""

from __future__ import annotations

from tests.integration.wire.cases.case import HOST, Case, get, message

REFUSED = (400,)
TAKEN = (200,)
EITHER = (200, 400)

_HOST = 'RFC 9112 §3.2, RFC 9110 §7.2: Host = uri-host [ ":" port ], once; anything else is 400'

_HOSTS: dict[str, tuple[tuple[int, ...], tuple[bytes, ...]]] = {
    "missing": (REFUSED, ()),
    "twice the same": (REFUSED, (HOST, HOST)),
    "twice, different": (REFUSED, (HOST, b"Host: evil.example")),
    "twice in two casings": (REFUSED, (HOST, b"hOST: evil.example")),
    "twice, second empty": (REFUSED, (HOST, b"Host:")),
    "thrice": (REFUSED, (HOST, b"X: y", HOST, HOST)),
    "empty": (REFUSED, (b"Host:",)),
    "spaces": (REFUSED, (b"Host:    ",)),
    "user information": (REFUSED, (b"Host: user@a.example",)),
    "user and password": (REFUSED, (b"Host: user:password@a.example",)),
    "at sign behind": (REFUSED, (b"Host: a.example@evil.example",)),
    "inner space": (REFUSED, (b"Host: a.example evil.example",)),
    "inner tab": (REFUSED, (b"Host: a.example\tevil.example",)),
    "comma": (REFUSED, (b"Host: a.example,evil.example",)),
    "comma and space": (REFUSED, (b"Host: a.example, evil.example",)),
    "slash": (REFUSED, (b"Host: a.example/x",)),
    "query": (REFUSED, (b"Host: a.example?x",)),
    "fragment": (REFUSED, (b"Host: a.example#x",)),
    "backslash": (REFUSED, (b"Host: a.example\\x",)),
    "scheme": (REFUSED, (b"Host: http://a.example",)),
    "semicolon": (EITHER, (b"Host: a.example;x",)),
    "script": (REFUSED, (b"Host: <script>",)),
    "quotes": (REFUSED, (b'Host: "a.example"',)),
    "braces": (REFUSED, (b"Host: {a}",)),
    "asterisk": (EITHER, (b"Host: *.example",)),
    "percent-encoded": (EITHER, (b"Host: %61.example",)),
    "percent-encoded NUL": (EITHER, (b"Host: a%00.example",)),
    "non-ASCII": (REFUSED, (b"Host: \xc3\xa4.example",)),
    "NUL": (REFUSED, (b"Host: a\x00.example",)),
    "control byte": (REFUSED, (b"Host: a\x01.example",)),
    "DEL": (REFUSED, (b"Host: a\x7f.example",)),
    "port only": (REFUSED, (b"Host: :80",)),
    "empty port": (EITHER, (b"Host: a.example:",)),
    "port of letters": (REFUSED, (b"Host: a.example:http",)),
    "port and garbage": (REFUSED, (b"Host: a.example:80x",)),
    "two ports": (REFUSED, (b"Host: a.example:80:80",)),
    "negative port": (REFUSED, (b"Host: a.example:-1",)),
    "port with a plus": (REFUSED, (b"Host: a.example:+80",)),
    "port with a space": (REFUSED, (b"Host: a.example: 80",)),
    "port 99999": (EITHER, (b"Host: a.example:99999",)),
    "port of forty digits": (EITHER, (b"Host: a.example:" + b"0" * 40,)),
    "dots inside": (EITHER, (b"Host: a..example",)),
    "dot first": (EITHER, (b"Host: .a.example",)),
    "dot alone": (EITHER, (b"Host: .",)),
    "two dots": (EITHER, (b"Host: ..",)),
    "dot last": (EITHER, (b"Host: a.example.",)),
    "upper case": (TAKEN, (b"HOST: A.EXAMPLE",)),
    "IPv4": (TAKEN, (b"Host: 127.0.0.1",)),
    "IPv6": (TAKEN, (b"Host: [::1]",)),
    "IPv6 and port": (TAKEN, (b"Host: [::1]:80",)),
    "IPv6 without brackets": (REFUSED, (b"Host: ::1",)),
    "IPv6 not closed": (REFUSED, (b"Host: [::1",)),
    "IPv6 not opened": (REFUSED, (b"Host: ::1]",)),
    "IPv6 and letters": (REFUSED, (b"Host: [::1]x",)),
    "IPv6 of nonsense": (EITHER, (b"Host: [zz]",)),
    "IPv6 empty": (EITHER, (b"Host: []",)),
    "IPv6 zone": (EITHER, (b"Host: [fe80::1%25eth0]",)),
    "IPvFuture": (EITHER, (b"Host: [v1.x]",)),
    "of 300 characters": (EITHER, (b"Host: " + b"a" * 300,)),
    "another name, underscore": (REFUSED, (b"Host_: a.example",)),
    "folded": (REFUSED, (b"Host: a.example\r\n evil.example",)),
}

_ABSOLUTE = "RFC 9112 §3.2.2: absolute-form is taken, and Host must say the same; userinfo is refused (RFC 9110 §4.2.4)"

_ABSOLUTES: dict[str, tuple[tuple[int, ...], bytes]] = {
    "agreeing": (TAKEN, b"http://a.example/"),
    "agreeing in upper case": (TAKEN, b"HTTP://A.EXAMPLE/"),
    "without a path": (TAKEN, b"http://a.example"),
    "query without a path": (TAKEN, b"http://a.example?x=1"),
    "default port beside none": (EITHER, b"http://a.example:80/"),
    "disagreeing": (REFUSED, b"http://evil.example/"),
    "disagreeing in the port": (REFUSED, b"http://a.example:81/"),
    "prefix of the Host": (REFUSED, b"http://a.exampl/"),
    "with user information": (REFUSED, b"http://user@a.example/"),
    "with an at sign behind": (REFUSED, b"http://a.example@evil.example/"),
    "https on a plain listener": ((200, 400, 421), b"https://a.example/"),
    "ftp": (REFUSED, b"ftp://a.example/"),
    "file": (REFUSED, b"file:///etc/passwd"),
    "javascript": (REFUSED, b"javascript:alert(1)"),
    "no authority": (REFUSED, b"http:///x"),
    "one slash": (REFUSED, b"http:/a.example/"),
    "no slash": (REFUSED, b"http:a.example/"),
    "port 99999": (REFUSED, b"http://a.example:99999/"),
    "with a fragment": (REFUSED, b"http://a.example/#x"),
    "fragment without a path": (REFUSED, b"http://a.example#x"),
    "with a backslash": (REFUSED, b"http://a.example\\@evil.example/"),
    "IPv6 not closed": (REFUSED, b"http://[::1/"),
    "empty scheme": (REFUSED, b"://a.example/"),
}

_FORM = "RFC 9112 §3.2: authority-form is CONNECT's, asterisk-form OPTIONS'"

_FORMS: dict[str, tuple[tuple[int, ...], bytes]] = {
    "authority-form with GET": (REFUSED, b"GET a.example:80 HTTP/1.1"),
    "relative path": (REFUSED, b"GET index.html HTTP/1.1"),
    "question mark first": (REFUSED, b"GET ?x HTTP/1.1"),
    "asterisk-form with GET": (REFUSED, b"GET * HTTP/1.1"),
    "asterisk and more": (REFUSED, b"OPTIONS *x HTTP/1.1"),
    "asterisk and a path": (REFUSED, b"OPTIONS */x HTTP/1.1"),
    "CONNECT": ((400, 405, 501), b"CONNECT a.example:443 HTTP/1.1"),
    "CONNECT without a port": ((400, 405, 501), b"CONNECT a.example HTTP/1.1"),
    "CONNECT with a path": ((400, 405, 501), b"CONNECT / HTTP/1.1"),
    "CONNECT with absolute-form": ((400, 405, 501), b"CONNECT http://a.example/ HTTP/1.1"),
    "CONNECT to oneself": ((400, 405, 501), b"CONNECT 127.0.0.1:22 HTTP/1.1"),
}

_PATH = "RFC 9112 §3.2: an invalid target is 400; RFC 3986 §2: what a path may hold"
_NORMAL = "RFC 3986 §6.2.2: equivalent targets become one, so that a rule on a path cannot be walked around"

_PATHS: dict[str, tuple[tuple[int, ...], bytes]] = {
    "fragment": (REFUSED, b"/a#b"),
    "fragment behind a query": (REFUSED, b"/a?b#c"),
    "fragment first": (REFUSED, b"/#"),
    "raw UTF-8": (EITHER, b"/caf\xc3\xa9"),
    "raw Latin-1": (EITHER, b"/caf\xe9"),
    "space": (REFUSED, b"/a b"),
    "space in a query": (REFUSED, b"/?a b"),
    "tab": (REFUSED, b"/a\tb"),
    "NUL": (REFUSED, b"/a\x00b"),
    "control byte": (REFUSED, b"/a\x01b"),
    "DEL": (REFUSED, b"/a\x7fb"),
    "bare CR": (REFUSED, b"/a\rb"),
    "bare LF": (REFUSED, b"/a\nb"),
    "NUL in a query": (REFUSED, b"/?\x00"),
    "double quote": (EITHER, b'/a"b'),
    "angle brackets": (EITHER, b"/<script>"),
    "backslash": (EITHER, b"/a\\b"),
    "backslash dot segments": (EITHER, b"/a\\..\\admin"),
    "caret": (EITHER, b"/a^b"),
    "backtick": (EITHER, b"/a`b"),
    "braces": (EITHER, b"/a{b}"),
    "pipe": (EITHER, b"/a|b"),
    "square brackets": (EITHER, b"/a[b]"),
    "percent alone": (REFUSED, b"/%"),
    "percent and one digit": (REFUSED, b"/%4"),
    "percent and no hex": (REFUSED, b"/%zz"),
    "percent and a sign": (REFUSED, b"/%+1"),
    "percent u": (REFUSED, b"/%u002f"),
    "encoded NUL": (REFUSED, b"/a%00b"),
    "encoded CR LF": (EITHER, b"/a%0d%0aX:%20y"),
    "encoded space": (TAKEN, b"/a%20b"),
    "encoded percent": (TAKEN, b"/%2561dmin"),
    "encoded slash": (EITHER, b"/a%2fb"),
    "encoded backslash": (EITHER, b"/a%5cb"),
    "overlong slash": (EITHER, b"/a%c0%afb"),
    "double slash": (TAKEN, b"/a//b"),
    "double slash first": (EITHER, b"//evil.example/x"),
    "a hundred slashes": (EITHER, b"/" * 100),
    "single dot": (EITHER, b"/a/./b"),
    "dot dot": (EITHER, b"/a/../b"),
    "dot dot above the root": (EITHER, b"/../b"),
    "dot dot to the parent of the root": (EITHER, b"/a/../../etc/passwd"),
    "encoded dot dot": (EITHER, b"/a/%2e%2e/b"),
    "half encoded dot dot": (EITHER, b"/a/.%2E/b"),
    "encoded dots and slashes": (EITHER, b"/%2e%2e%2f%2e%2e%2fetc/passwd"),
    "dot dot with a parameter": (EITHER, b"/a/..;/admin"),
    "dot dot at the end": (EITHER, b"/a/.."),
    "three dots": (TAKEN, b"/a/.../b"),
    "encoded letter": (TAKEN, b"/%61dmin"),
    "lower-case escape": (TAKEN, b"/%c3%a9"),
    "empty query": (TAKEN, b"/?"),
    "question marks": (TAKEN, b"/??a=?"),
    "slash in a query": (TAKEN, b"/?a=/../b"),
    "broken escape in a query": (EITHER, b"/?a=%zz"),
}


def _cases() -> list[Case]:
    cases = [
        Case(name, "host", message(b"GET / HTTP/1.1", *fields), want, _HOST) for name, (want, fields) in _HOSTS.items()
    ]
    cases += [
        Case(name, "absolute-form", get(target=target), want, _ABSOLUTE) for name, (want, target) in _ABSOLUTES.items()
    ]
    cases += [Case(name, "target form", message(line, HOST), want, _FORM) for name, (want, line) in _FORMS.items()]
    cases += [
        Case(name, "path", get(target=target), want, _PATH, beyond_nginx=_NORMAL if 200 in want else "")
        for name, (want, target) in _PATHS.items()
    ]
    cases += [
        Case(
            "absolute-form without Host",
            "absolute-form",
            message(b"GET http://a.example/ HTTP/1.1"),
            REFUSED,
            "RFC 9112 §3.2: Host is required even beside absolute-form",
        ),
        Case(
            "absolute-form in HTTP/1.0",
            "absolute-form",
            message(b"GET http://a.example/ HTTP/1.0"),
            TAKEN,
            _ABSOLUTE,
        ),
        Case(
            "absolute-form and two Hosts",
            "absolute-form",
            get(b"Host: evil.example", target=b"http://a.example/"),
            REFUSED,
            _ABSOLUTE,
        ),
        Case(
            "asterisk-form",
            "target form",
            message(b"OPTIONS * HTTP/1.1", HOST),
            (200, 204, 400, 405),
            "RFC 9110 §9.3.7: asks about the server as a whole",
            beyond_nginx="RFC 9112 §3.2.4: a proxy sends asterisk-form on",
        ),
        Case(
            "two bad Hosts in HTTP/1.0",
            "host",
            message(b"GET / HTTP/1.0", HOST, b"Host: evil.example"),
            REFUSED,
            _HOST,
        ),
    ]
    return cases


CASES = _cases()
