"""The fields of Compression Dictionary Transport (RFC 9842 §2): what an answer says it may be used for, and what a
client says it has."""

from __future__ import annotations

from typing import Final, NamedTuple

from edgeproxy.http.structured import InnerList, Item, Token, parse_dictionary, parse_list, serialize

DIGEST_BYTES: Final = 32  # SHA-256
ID_LONGEST: Final = 1024  # characters (§2.1.3)
MOST_DESTINATIONS: Final = 32
_RAW: Final = Item(Token("raw"), {})


class Offer(NamedTuple):
    """For which requests an answer may be the dictionary: a URL Pattern, and Fetch's request destinations, none for
    all."""

    match: str
    destinations: tuple[str, ...] = ()

    def field(self) -> bytes:
        """The offer as a value of Use-As-Dictionary. Raises ValueError for what no string can hold."""
        text = "match=" + serialize(Item(self.match, {}))
        if self.destinations:
            listed = InnerList([Item(destination, {}) for destination in self.destinations], {})
            text += ", match-dest=" + serialize(listed)
        return text.encode()


def parse_offer(value: bytes) -> Offer | None:
    """What Use-As-Dictionary says; None if it is malformed, or of a type that is not known (§2.1.4)."""
    told = parse_dictionary(value)
    if told is None:
        return None
    match, name, kind = told.get("match"), told.get("id"), told.get("type", _RAW)
    if not isinstance(match, Item) or not isinstance(match.value, str):
        return None
    if not isinstance(kind, Item) or kind.value != _RAW.value:
        return None
    if name is not None and not (isinstance(name, Item) and _is_id(name.value)):
        return None
    listed = told.get("match-dest", InnerList([], {}))
    if not isinstance(listed, InnerList) or len(listed.items) > MOST_DESTINATIONS:
        return None
    destinations = tuple([item.value for item in listed.items if isinstance(item.value, str)])
    return Offer(match.value, destinations) if len(destinations) == len(listed.items) else None


def parse_digest(value: bytes) -> bytes:
    """The SHA-256 that Available-Dictionary names, b"" if it names none (§2.2)."""
    told = parse_list(value)
    if told is None or len(told) != 1:
        return b""
    digest = told[0].value if isinstance(told[0], Item) else None
    return digest if isinstance(digest, bytes) and len(digest) == DIGEST_BYTES else b""


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) <= ID_LONGEST
