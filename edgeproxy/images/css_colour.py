"""Colours as CSS writes them (CSS Color 4): hexadecimal digits, ``rgb()``, and the sixteen names of HTML 4.01 §6.5."""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.images.plan import Colour

_NAMED: Final = {
    "aqua": "00ffff",
    "black": "000000",
    "blue": "0000ff",
    "fuchsia": "ff00ff",
    "gray": "808080",
    "green": "008000",
    "lime": "00ff00",
    "maroon": "800000",
    "navy": "000080",
    "olive": "808000",
    "purple": "800080",
    "red": "ff0000",
    "silver": "c0c0c0",
    "teal": "008080",
    "white": "ffffff",
    "yellow": "ffff00",
    "transparent": "00000000",
}
_HEX: Final = re.compile(r"#?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_FUNCTION: Final = re.compile(r"rgba?\(\s*([^()]*?)\s*\)")
_BETWEEN: Final = re.compile(r"\s*[\s,/+;]\s*")
_CHANNEL: Final = re.compile(r"[0-9]{1,3}")
_SHARE: Final = re.compile(r"(?:[0-9]{1,3}(?:\.[0-9]{1,4})?|\.[0-9]{1,4})%?")


def parse_colour(text: str) -> Colour:
    """Red, green, blue and alpha of a colour in lower case. Raises ValueError."""
    digits = _HEX.fullmatch(_NAMED.get(text, text))
    if digits is None:
        return _function(text)
    found = digits[1] if len(digits[1]) > 4 else "".join([digit * 2 for digit in digits[1]])
    red, green, blue, alpha = bytes.fromhex(found.ljust(8, "f"))
    return red, green, blue, alpha


def _function(text: str) -> Colour:
    function = _FUNCTION.fullmatch(text)
    parts = _BETWEEN.split(function[1]) if function else []
    if (
        len(parts) not in {3, 4}
        or not all(map(_CHANNEL.fullmatch, parts[:3]))
        or not all(map(_SHARE.fullmatch, parts[3:]))
    ):
        raise ValueError("no colour")
    red, green, blue = map(int, parts[:3])
    share = parts[3] if len(parts) == 4 else "1"
    alpha = round(255 * (float(share[:-1]) / 100 if share.endswith("%") else float(share)))
    if max(red, green, blue, alpha) > 255:
        raise ValueError("no colour")
    return red, green, blue, alpha
