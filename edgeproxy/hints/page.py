"""Which links of a page are worth telling before it is here. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from edgeproxy.http.headers import Headers
from edgeproxy.http.links import Link, parse_links
from edgeproxy.http.message import Response
from edgeproxy.pipeline.interim import HINTED

MOST: Final = 16  # links of one answer
LONGEST: Final = 4096  # bytes of all fields of one answer; a head of that size still goes out in one flight

# What browsers begin with before a page is here (HTML, "process early hint headers").
_RELATIONS: Final = frozenset((b"modulepreload", b"preconnect", b"preload"))
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
_USER: Final = re.compile(rb"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*@")
_NONCE: Final = re.compile(rb"'nonce-", re.IGNORECASE)


def is_hint(link: Link) -> bool:
    """Whether a browser begins with it before the page is here, and another visitor's may. A ``nonce`` is for one
    answer; an ``anchor`` makes it another page's link (RFC 8288 §3.2)."""
    scheme = _SCHEME.match(link.target)
    return (
        not _RELATIONS.isdisjoint(link.relations)
        and (b"preload" not in link.relations or b"as" in link.parameters)
        and b"nonce" not in link.parameters
        and b"anchor" not in link.parameters
        and link.target != b""
        and (scheme is None or scheme[0].lower() in (b"http", b"https"))
        and _USER.match(link.target) is None
    )


def of_page(response: Response) -> Headers:
    """The fields that may be told of the next such answer: its links, as many as there is room for, and what they are
    to be loaded under. Nothing where the page's policy is for this answer alone, or too long to go along."""
    fields = {name: value for name in HINTED if name != b"link" and (value := response.get(name)) is not None}
    if any(_NONCE.search(value) for value in fields.values()):
        return {}
    room = LONGEST - sum([len(name) + len(value) for name, value in fields.items()])
    links = fitting([link.text for link in parse_links(response.get(b"link") or b"") if is_hint(link)], room)
    return fields | {b"link": b", ".join(links)} if links else {}


def fitting(links: Iterable[bytes], room: int = LONGEST) -> list[bytes]:
    """The first of them that fit into ``room`` bytes, each once, and at most ``MOST``."""
    kept: list[bytes] = []
    for link in dict.fromkeys(links):
        room -= len(link) + 2
        if room < 0 or len(kept) == MOST:
            break
        kept.append(link)
    return kept
