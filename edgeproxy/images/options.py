"""Options of a picture as clients write them (Cloudflare's names), and as a plan writes itself: one form each.

Names and words count in any case, percent-encoded or not, in any order; numbers are finite, bounded and rounded. What
is given twice has to be the same both times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from edgeproxy.images.css_colour import parse_colour
from edgeproxy.images.plan import Plan

LONGEST: Final = 512  # bytes of all options together
MOST: Final = 32  # options
LARGEST: Final = 20_000  # pixels of a side, before anything else bounds it

QUALITIES: Final = {"high": 90, "medium-high": 80, "medium-low": 65, "low": 50}

SHORT: Final = {"w": "width", "h": "height", "g": "gravity", "q": "quality", "f": "format"}
ALIASES: Final = SHORT | {"scq": "slow-connection-quality"}


class OptionError(ValueError):
    """Options that cannot be followed; its text is a sentence that repeats nothing of what was sent."""


class Options(NamedTuple):
    """What was asked for. ``plan`` has width and height as they were written, not yet times ``dpr``.

    ``auto_width``: by client hints; ``auto_format``: by Accept. ``slow_quality`` is for slow connections, 0 for the
    usual one. ``redirect``: to the original, where there is no variant. ``names``: of the options that were given.
    """

    plan: Plan = Plan()
    dpr: float = 1.0
    auto_width: bool = False
    auto_format: bool = False
    slow_quality: int = 0
    redirect: bool = False
    names: frozenset[str] = frozenset()


def parse(text: bytes) -> Options:
    """Options out of a path: ``name=value``, separated by commas. Raises OptionError."""
    if len(text) > LONGEST:
        raise OptionError(f"There are more than {LONGEST} bytes of options.")
    pairs = [part.partition("=")[::2] for part in _split(unquote(text.decode("latin-1"), "latin-1")) if part]
    return read(pairs)


def read(pairs: Iterable[tuple[str, str]]) -> Options:
    """Options from decoded names and values. Raises OptionError."""
    given: dict[str, Any] = {}
    for count, (name, value) in enumerate(pairs, 1):
        if count > MOST:
            raise OptionError(f"There are more than {MOST} options.")
        name = name.strip().lower()
        name = ALIASES.get(name, name)
        reader = _READERS.get(name)
        if reader is None:
            raise OptionError(f"There is an unknown option; known are {', '.join(NAMES)}.")
        try:
            found = reader(value.strip().lower())
        except (ValueError, KeyError):
            raise OptionError(f"{name} {_MEANING[name]}.") from None
        if given.setdefault(name, found) != found:
            raise OptionError(f"{name} is given twice.")
    return _options(given)


def write(plan: Plan) -> bytes:
    """A plan as options in one canonical form, b"" for one that changes nothing. What :func:`parse` reads from that is
    the plan itself; ``ssim`` is none of its options."""
    if plan.baseline:
        plan = plan._replace(format=_BASELINE)  # type: ignore[arg-type]
    parts = []
    for name, field, text in _WRITERS:
        value = getattr(plan, field)
        if value != getattr(_NOTHING, field):
            parts.append(f"{name}={text(value)}")
    return ",".join(parts).encode()


def _options(given: dict[str, Any]) -> Options:
    names = frozenset(given)
    auto_width, auto_format = given.get("width") == 0, given.get("format") == "auto"
    if auto_format:
        del given["format"]
    if given.get("format") == _BASELINE:
        given |= {"format": "jpeg", "baseline": True}
    fields = {_FIELDS.get(name, name): value for name, value in given.items() if name not in _ASIDE}
    return Options(
        Plan(**fields),
        given.get("dpr", 1.0),
        auto_width,
        auto_format,
        given.get("slow-connection-quality", 0),
        given.get("onerror", False),
        names,
    )


def _split(text: str) -> list[str]:
    """At the commas, but for those in parentheses: ``rgb(1,2,3)``."""
    return _COMMA.split(text)


# Values, in lower case. All raise ValueError or KeyError.


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _DIGITS.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return read


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError(text)
        return round(float(text), 2)

    return read


def _word(words: dict[str, Any]) -> Callable[[str], Any]:
    return words.__getitem__


def _width(text: str) -> int:
    return 0 if text == "auto" else _side(text)


def _quality(text: str) -> int:
    return QUALITIES[text] if text in QUALITIES else _percent(text)


def _gravity(text: str) -> Any:
    if text in _PLACES:
        return _PLACES[text]
    across, x, down = text.partition("x")
    if not x:
        raise ValueError(text)
    return _share(across), _share(down)


def _trim(text: str) -> tuple[int, ...]:
    top, right, bottom, left = [_edge(part) for part in text.split(";")]
    return top, right, bottom, left


_COMMA: Final = re.compile(r",(?![^(]*\))")
_DIGITS: Final = re.compile(r"[0-9]{1,5}")
_DECIMAL: Final = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,6})?|\.[0-9]{1,6}")
_side, _percent, _edge = _whole(1, LARGEST), _whole(1, 100), _whole(0, LARGEST)
_share, _factor = _number(0, 1), _number(0, 10)

_BOOLEANS: Final = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
_FITS: Final = {name: name for name in ("scale-down", "contain", "cover", "crop", "pad", "squeeze")}
_METADATA: Final = {name: name for name in ("none", "copyright", "keep")}
_FLIPS: Final = {"h": "h", "v": "v", "hv": "hv", "vh": "hv"}
_TURNS: Final = {"0": 0, "90": 90, "180": 180, "270": 270, "360": 0}
_BASELINE: Final = "baseline-jpeg"
_FORMATS: Final = {name: name for name in ("auto", "avif", "webp", "jpeg", _BASELINE, "png", "gif", "json")} | {
    "jpg": "jpeg"
}
_PLACES: Final = {
    "auto": "auto",
    "face": "auto",
    "center": (0.5, 0.5),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
    "top": (0.5, 0.0),
    "bottom": (0.5, 1.0),
}

_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "width": _width,
    "height": _side,
    "dpr": _number(0.1, 10),
    "fit": _word(_FITS),
    "gravity": _gravity,
    "quality": _quality,
    "slow-connection-quality": _quality,
    "format": _word(_FORMATS),
    "anim": _word(_BOOLEANS),
    "background": parse_colour,
    "blur": _number(0, 250),
    "brightness": _factor,
    "contrast": _factor,
    "gamma": _number(0.1, 10),
    "saturation": _factor,
    "sharpen": _number(0, 10),
    "rotate": _word(_TURNS),
    "flip": _word(_FLIPS),
    "trim": _trim,
    "metadata": _word(_METADATA),
    "onerror": _word({"redirect": True}),
    "compression": _word({"fast": True}),
}
NAMES: Final = tuple(_READERS)

# What an option has to be, for whoever wrote it otherwise.
_MEANING: Final[dict[str, str]] = {
    "width": f"is a whole number of pixels from 1 to {LARGEST}, or auto",
    "height": f"is a whole number of pixels from 1 to {LARGEST}",
    "dpr": "is a number from 0.1 to 10",
    "fit": f"is one of {', '.join(_FITS)}",
    "gravity": f"is one of {', '.join(_PLACES)}, or a point like 0.5x0.2, from 0 to 1",
    "quality": f"is a whole number from 1 to 100, or one of {', '.join(QUALITIES)}",
    "slow-connection-quality": f"is a whole number from 1 to 100, or one of {', '.join(QUALITIES)}",
    "format": f"is one of {', '.join(_FORMATS)}",
    "anim": "is true or false",
    "background": "is a colour like ff8000, rgb(255,128,0) or white",
    "blur": "is a number from 0 to 250",
    "brightness": "is a number from 0 to 10",
    "contrast": "is a number from 0 to 10",
    "gamma": "is a number from 0.1 to 10",
    "saturation": "is a number from 0 to 10",
    "sharpen": "is a number from 0 to 10",
    "rotate": f"is one of {', '.join(_TURNS)}",
    "flip": f"is one of {', '.join(_FLIPS)}",
    "trim": "is four whole numbers of pixels, top;right;bottom;left",
    "metadata": f"is one of {', '.join(_METADATA)}",
    "onerror": "is redirect",
    "compression": "is fast",
}

# The plan's field where it is not the option's own name, and the options that are no part of a plan.
_FIELDS: Final = {"compression": "hurry"}
_ASIDE: Final = frozenset(("dpr", "slow-connection-quality", "onerror"))

_NOTHING: Final = Plan()


def _written_gravity(value: Any) -> str:
    return "auto" if value == "auto" else "{:g}x{:g}".format(*value)


_LONG_TO_SHORT: Final = {long: short for short, long in SHORT.items()}
_TEXTS: Final[dict[str, Callable[[Any], str]]] = {
    "gravity": _written_gravity,
    "anim": lambda value: "true" if value else "false",
    "background": lambda value: bytes(value).hex(),
    "trim": lambda value: ";".join(map(str, value)),
    "compression": lambda _: "fast",
} | dict.fromkeys(("blur", "brightness", "contrast", "gamma", "saturation", "sharpen"), "{:g}".format)
_WRITERS: Final = tuple(
    (_LONG_TO_SHORT.get(name, name), _FIELDS.get(name, name), _TEXTS.get(name, str))
    for name in sorted(NAMES, key=lambda name: _LONG_TO_SHORT.get(name, name))
    if name not in _ASIDE
)
