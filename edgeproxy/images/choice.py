"""From what was asked for, and what the client can show, to one plan: pure, and the same for all who mean the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from edgeproxy.images import hints
from edgeproxy.images.negotiate import Modern, best_format
from edgeproxy.images.options import NAMES, QUALITIES, OptionError, Options
from edgeproxy.images.plan import Metadata, Plan

ACCEPT: Final = b"accept"

# Options with few values. The others take numbers at will, so that a client could have variants made without end.
COUNTABLE: Final = (
    *("width", "height", "dpr", "fit", "gravity", "quality", "slow-connection-quality", "format", "anim"),
    *("rotate", "flip", "metadata", "onerror", "compression"),
)

DENSITIES: Final = (1.0, 1.5, 2.0, 3.0)  # those that may be asked for where sizes are listed
_TENTH: Final = 10


class Rules(NamedTuple):
    """What may be asked for, and what is chosen where the client leaves it open.

    ``listed``: only sizes out of ``widths`` (ascending) and qualities out of ``qualities``; ``options`` are the names
    that may be used. ``side``: pixels of the longest side made; ``avif_side`` of one in AVIF. ``formats``: those chosen
    by Accept, the one liked best first. ``hints``: whether sizes go by client hints. ``saving``: the quality for who
    saves data, 0 for the usual one.
    """

    listed: bool = True
    widths: tuple[int, ...] = (320, 640, 1280)
    qualities: tuple[int, ...] = (75,)
    options: frozenset[str] = frozenset(NAMES)
    side: int = 12_000
    avif_side: int = 4096
    formats: tuple[Modern, ...] = ("avif", "webp")
    hints: bool = False
    saving: int = 0
    metadata: Metadata = "copyright"


AUTOMATIC: Final = Options(auto_width=True, auto_format=True)


def check(options: Options, rules: Rules) -> None:
    """Refuse what may not be asked for. Raises OptionError."""
    if not options.names <= rules.options:
        raise OptionError(f"Only these options may be used here: {', '.join(sorted(rules.options))}.")
    plan = options.plan
    if rules.listed:
        _among(plan.width, rules.widths, "width")
        _among(plan.height, rules.widths, "height")
        for quality in (plan.quality, options.slow_quality):
            if quality not in QUALITIES.values():
                _among(quality, rules.qualities, "quality")
        if options.dpr not in DENSITIES:
            raise OptionError(f"dpr is one of {', '.join(f'{dpr:g}' for dpr in DENSITIES)} here.")
        gravity = plan.gravity
        if gravity != "auto" and any(round(share * _TENTH, 6) % 1 for share in gravity):
            raise OptionError("gravity is a point in tenths here, like 0.5x0.2.")
    elif options.dpr > hints.DENSEST:
        raise OptionError(f"dpr is at most {hints.DENSEST:g}.")
    if max(plan.width, plan.height) * options.dpr > rules.side:
        raise OptionError(f"A side times dpr is at most {rules.side} pixels.")


def consulted(options: Options, rules: Rules) -> tuple[bytes, ...]:
    """The request fields that the plan depends on, in lower case."""
    fields: tuple[bytes, ...] = (ACCEPT,) if options.auto_format and rules.formats else ()
    if options.auto_width and rules.hints:
        fields += hints.SIZES
    if options.slow_quality:
        fields += (hints.SAVE_DATA, hints.ECT)
    elif options.auto_width and (rules.saving or rules.hints):
        fields += (hints.SAVE_DATA,)
    return fields


def vary(settled: frozenset[bytes]) -> bytes:
    """The Vary of an answer that was chosen by these request fields."""
    return b", ".join(sorted(settled))


def choose(options: Options, rules: Rules, headers: Mapping[bytes, bytes]) -> Plan:
    """The plan for a client whose request has these fields; of them only the :func:`consulted` ones count."""
    told = hints.read({name: headers[name] for name in consulted(options, rules) if name in headers})
    plan = options.plan
    width, height = round(plan.width * options.dpr), round(plan.height * options.dpr)
    if options.auto_width and rules.hints:
        width = hints.wanted_width(told, rules.widths)
    quality = plan.quality
    if told.slow and options.slow_quality:
        quality = options.slow_quality
    elif told.saving and not quality:
        quality = rules.saving
    form, formats = plan.format, rules.formats
    if max(width, height) > rules.avif_side:
        formats = tuple([name for name in formats if name != "avif"])
        form = "webp" if form == "avif" else form
    if options.auto_format:
        form = best_format(headers.get(ACCEPT, b""), formats)
    return plan._replace(
        width=width,
        height=height,
        quality=quality,
        format=form,
        metadata=plan.metadata if "metadata" in options.names else rules.metadata,
    )


def _among(value: int, listed: tuple[int, ...], name: str) -> None:
    if value and value not in listed:
        raise OptionError(f"{name} is one of {', '.join(map(str, listed))} here.")
