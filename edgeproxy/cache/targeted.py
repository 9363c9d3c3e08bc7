"""Targeted fields (RFC 9213): what an origin tells this kind of cache, in place of Cache-Control and Expires."""

from __future__ import annotations

from edgeproxy.cache.directives import SECONDS
from edgeproxy.http.headers import Headers
from edgeproxy.http.structured import InnerList, Member, parse_dictionary

# RFC 9213 §2.2: the target list of a cache in a CDN, the most specific first.
TARGETS: tuple[bytes, ...] = (b"cdn-cache-control",)


def in_force(fields: Headers, targets: tuple[bytes, ...]) -> Headers:
    """An answer's fields as policy is to read them: with the directives of the first target that is there, not empty
    and well formed as its Cache-Control, and then without Expires (RFC 9213 §2.1). The client gets its own all the
    same: the fields are for caches behind this one too.
    """
    for name in targets:
        value = fields.get(name)
        if value is None:
            continue
        told = parse_dictionary(value.lower())  # directives are case-insensitive, keys of a dictionary are not
        if told:
            directives = b", ".join([_directive(key, member) for key, member in told.items() if _is_meant(member)])
            ours = fields | {b"cache-control": directives}
            ours.pop(b"expires", None)
            return ours
    return fields


def _is_meant(member: Member) -> bool:
    """Whether a directive could be written so: ``?0`` says that it does not hold, and no directive takes a list."""
    return not isinstance(member, InnerList) and member.value is not False


def _directive(key: str, member: Member) -> bytes:
    """RFC 9213 §2.1: no argument is true, seconds are an integer, names of fields are a string. An argument of another
    type is none, and stands there as what no directive takes."""
    name, value = key.encode(), None if isinstance(member, InnerList) else member.value
    if value is True:
        return name
    if isinstance(value, int):
        return b"%b=%d" % (name, value)
    return b'%b="%b"' % (name, value.encode() if isinstance(value, str) and name not in SECONDS else b"?")
