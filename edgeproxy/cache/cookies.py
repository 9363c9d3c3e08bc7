"""Whether an answer that sets cookies may be anybody's (RFC 9111 §7.3: Set-Cookie as such does not inhibit caching).

Origins forget to forbid it, and a session handed to everybody who hits the cache is the worst a shared cache can do. So
what is shared must be of no use for telling users apart.
"""

from __future__ import annotations

LONGEST = 4  # bytes of a value: a language, a currency, a switch. No session is that easily guessed.


def tells_nobody(set_cookie: bytes) -> bool:
    """Whether every cookie of a Set-Cookie field (its lines joined by line feeds) has a value that says no more than
    how a page is to be shown."""
    return all(len(_value(line)) <= LONGEST for line in set_cookie.split(b"\n"))


def _value(line: bytes) -> bytes:
    """RFC 6265 §5.2: what stands before the first semicolon, behind the first equals sign; without one it is all."""
    name, equals, value = line.partition(b";")[0].partition(b"=")
    return (value if equals else name).strip(b' \t"')
