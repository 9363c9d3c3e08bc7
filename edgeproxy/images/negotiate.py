"""Which of the formats made is best for a client, as its Accept says (RFC 9110 §12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from edgeproxy.http.headers import members

Modern = Literal["avif", "webp"]

LONGEST: Final = 1024  # bytes of Accept; browsers send 100

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9a-z-]+"
_MEMBER: Final = re.compile(
    rb"(" + _TOKEN + rb"/" + _TOKEN + rb")(?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)
_LEAST: Final = 0.001  # RFC 9110 §12.4.2: 0 is not acceptable, and there is no weight between
_TYPES: Final[dict[Modern, bytes]] = {"avif": b"image/avif", "webp": b"image/webp"}


def best_format(accept: bytes, formats: Sequence[Modern]) -> Modern | Literal[""]:
    """The one of ``formats`` (avif, webp; the one liked best first) that Accept gives the most weight, "" for none.

    Only a type that is named counts: ``image/*`` and ``*/*`` are what programs write that can read neither. And it has
    to weigh as much as they do, or whatever there is would be liked better.
    """
    if len(accept) > LONGEST:
        return ""
    weights = _weights(accept)
    others = weights.get(b"image/*", weights.get(b"*/*", 0.0))
    best: Modern | Literal[""] = ""
    most = max(others, _LEAST)
    for name in formats:
        weight = weights.get(_TYPES[name], 0.0)
        if weight > most or (weight == most and not best):
            best, most = name, weight
    return best


def _weights(accept: bytes) -> dict[bytes, float]:
    """Weight by type, in lower case. Members that are malformed, or of some parameters only, are left out."""
    weights: dict[bytes, float] = {}
    for member in members(accept.lower()):
        match = _MEMBER.fullmatch(member)
        if match is not None:
            weights[match[1]] = 1.0 if match[2] is None else float(match[2])
    return weights
