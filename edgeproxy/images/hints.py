"""What a client says of its screen and its connection: client hints (RFC 8942), read as structured fields, bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from edgeproxy.http.structured import Item, Token, parse_list

WIDTH: Final = b"sec-ch-width"  # of the place for the picture, in device pixels
VIEWPORT: Final = b"sec-ch-viewport-width"  # in CSS pixels
DPR: Final = b"sec-ch-dpr"
SAVE_DATA: Final = b"save-data"
ECT: Final = b"ect"  # how fast the connection is, as https://wicg.github.io/netinfo has it

SIZES: Final = (WIDTH, VIEWPORT, DPR)
ACCEPT_CH: Final = b"Sec-CH-Width, Sec-CH-Viewport-Width, Sec-CH-DPR"

DENSEST: Final = 3.0  # device pixels to a CSS pixel that make a difference to the eye
WIDEST: Final = 20_000
_LONGEST: Final = 32  # bytes of one field
_SLOW: Final = frozenset((b"slow-2g", b"2g", b"3g"))  # of no grammar but these words


class Hints(NamedTuple):
    """0 for what is not told. ``slow``: data are to be saved."""

    width: float = 0
    viewport: float = 0
    dpr: float = 0
    saving: bool = False
    slow: bool = False


def read(headers: Mapping[bytes, bytes]) -> Hints:
    """What the fields say; one that is malformed or out of bounds says nothing."""
    saving = _bare(headers.get(SAVE_DATA)) == Token("on")
    return Hints(
        _number(headers.get(WIDTH), WIDEST),
        _number(headers.get(VIEWPORT), WIDEST),
        _number(headers.get(DPR), 10),
        saving,
        saving or headers.get(ECT, b"").lower() in _SLOW,
    )


def wanted_width(hints: Hints, widths: Sequence[int]) -> int:
    """The width in device pixels that is enough, the next larger one of ``widths`` (ascending), 0 if nothing tells.

    Who saves data is given a pixel for a CSS pixel.
    """
    told = hints.dpr or 1.0
    density = 1.0 if hints.saving else min(told, DENSEST)
    wanted = hints.width * min(1.0, density / told) if hints.width else hints.viewport * density
    if not wanted:
        return 0
    return next((width for width in widths if width >= wanted), widths[-1])


def _number(value: bytes | None, most: float) -> float:
    found: Any = _bare(value)
    return found if type(found) in {int, float} and 0 < found <= most else 0


def _bare(value: bytes | None) -> object:
    """The value of a field that is one item; None if it is not."""
    found = parse_list(value) if value and len(value) <= _LONGEST else None
    return found[0].value if found and len(found) == 1 and isinstance(found[0], Item) else None
