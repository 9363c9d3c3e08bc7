"""The Link field (RFC 8288): where it points, and what each link is for."""

from __future__ import annotations

import re
from typing import NamedTuple

MOST = 64  # links that are read of one field

_TARGET = re.compile(rb"[ \t,]*(<([^>]*)>)")
_PARAMETER = re.compile(
    rb'[ \t]*;[ \t]*(?:([!#$%&\'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^ \t;,"]*)))?)?'
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class Link(NamedTuple):
    """A link's target as it is written, and its relation types in lower case; its parameters unquoted, by their names
    in lower case, of each the first (RFC 8288 §3.3); and the whole link as it is written."""

    target: bytes
    relations: frozenset[bytes]
    parameters: dict[bytes, bytes]
    text: bytes


def parse_links(value: bytes) -> list[Link]:
    """The links of a field's value, up to the first thing that is none, and at most ``MOST`` (RFC 8288 §B.2)."""
    links: list[Link] = []
    place = 0
    while len(links) < MOST and (target := _TARGET.match(value, place)) is not None:
        place = target.end()
        parameters: dict[bytes, bytes] = {}
        while (parameter := _PARAMETER.match(value, place)) is not None:
            place = parameter.end()
            name, quoted, token = parameter.groups()
            if name is not None and (name := name.lower()) not in parameters:
                parameters[name] = token or b"" if quoted is None else _ESCAPED.sub(rb"\1", quoted)
        relations = frozenset(parameters.get(b"rel", b"").lower().split())
        links.append(Link(target[2], relations, parameters, value[target.start(1) : place].rstrip(b" \t")))
        if value[place:].lstrip(b" \t")[:1] not in {b",", b""}:
            break
    return links
