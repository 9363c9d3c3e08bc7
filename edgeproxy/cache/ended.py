"""Fields of an answer whose freshness was ended before its time (a soft purge)."""

from __future__ import annotations

from edgeproxy.http.headers import Headers, members

_LIFETIMES = frozenset((b"max-age", b"s-maxage"))


def ended(headers: Headers, age: int) -> Headers:
    """The fields of an answer ``age`` seconds old with no freshness left in them: every lifetime is what is over.

    The other directives stay, so that the windows of RFC 5861 are still granted, and begin now. A lifetime that stood
    in Expires or was guessed is told by max-age, which goes before both (RFC 9111 §4.2.1). Targeted fields (RFC 9213)
    go before Cache-Control, so they say the same.
    """
    fields = {
        name: _ended(value, age) if value and name.endswith(b"-cache-control") else value
        for name, value in headers.items()
    }
    fields[b"cache-control"] = _ended(headers.get(b"cache-control", b""), age)
    return fields


def _ended(value: bytes, age: int) -> bytes:
    lifetimes = {b"max-age": b"max-age=%d" % age}
    kept: list[bytes] = []
    for directive in members(value):
        name = directive.partition(b"=")[0].strip().lower()
        if name in _LIFETIMES:
            lifetimes[name] = b"%b=%d" % (name, age)
        else:
            kept.append(directive)
    return b", ".join((*lifetimes.values(), *kept))
