"""The shape of a request's head: which fields it has, in the order they came.

A library that takes on a browser's agent seldom takes on the order in which the browser writes its fields. The hash is
our own. ``data/shapes.json`` has what was seen to hold for all requests of a browser's engine: chains of fields which,
as far as they are there, stand in this order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final

from edgeproxy.pipeline.memo import Memo

_DIGEST: Final = 6  # bytes
_LONGEST: Final = 2048  # bytes of names that are remembered

# Left out: what comes and goes from one request of a client to its next, and what proxies add, we among them.
_PASSING: Final[frozenset[bytes]] = frozenset(
    (
        *(b"authorization", b"cache-control", b"content-length", b"content-type", b"cookie", b"if-match"),
        *(b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since", b"origin", b"pragma"),
        *(b"purpose", b"range", b"referer", b"sec-fetch-user", b"sec-purpose"),
        *(b"cdn-loop", b"forwarded", b"traceparent", b"tracestate", b"via", b"x-forwarded-for", b"x-forwarded-host"),
        *(b"x-forwarded-port", b"x-forwarded-proto", b"x-real-ip", b"x-request-id"),
    )
)


class Shape:
    """``text``: twelve hexadecimal digits; ``unlike``: the engines that never order their fields like this."""

    __slots__ = ("text", "unlike")

    def __init__(self, text: str, unlike: frozenset[str]) -> None:
        self.text = text
        self.unlike = unlike


class Shapes:
    """The shapes of heads, remembered."""

    def __init__(self) -> None:
        told = json.loads(Path(__file__).with_name("data").joinpath("shapes.json").read_text(encoding="utf-8"))
        self._orders: dict[str, list[list[bytes]]] = {
            engine: [[name.encode() for name in chain] for chain in seen["orders"]] for engine, seen in told.items()
        }
        self._known: Memo[bytes, Shape] = Memo(self._shape, 4096, longest=_LONGEST)

    def of(self, names: Iterable[bytes]) -> Shape:
        return self._known[b"\n".join(names)]

    def _shape(self, joined: bytes) -> Shape:
        names = joined.split(b"\n")
        lasting = b"\n".join([name for name in names if name not in _PASSING])
        places = {name: place for place, name in enumerate(names)}
        unlike = {engine for engine, chains in self._orders.items() if not _in_order(chains, places)}
        return Shape(blake2b(lasting, digest_size=_DIGEST).hexdigest(), frozenset(unlike))


def _in_order(chains: list[list[bytes]], places: dict[bytes, int]) -> bool:
    for chain in chains:
        last = -1
        for name in chain:
            place = places.get(name, last)
            if place < last:
                return False
            last = place
    return True
