"""Text with placeholders in braces, compiled once: ``"{client.ip} via {route}"``. ``{{`` and ``}}`` are braces."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from edgeproxy.pipeline.exchange import Exchange

S = TypeVar("S")
Renderer = Callable[[S], bytes]

_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[^{}]+|[{}]")


class Placeholder(str):
    """The name between two braces."""

    __slots__ = ()


# What any stage may say of an exchange. None can hold CR, LF or NUL: ``path`` is the one that goes to the origin, still
# percent-encoded, not the decoded one that rules are matched against.
EXCHANGE: Mapping[str, Renderer[Exchange]] = {
    "client.ip": lambda x: x.client.encode(),
    "client.ja4": lambda x: b"" if x.peer.tls is None else x.peer.tls.ja4.encode(),
    "request.id": lambda x: x.id,
    "host": lambda x: x.request.host,
    "path": lambda x: x.request.target.partition(b"?")[0],
    "scheme": lambda x: x.request.scheme,
    "route": lambda x: x.route.name.encode(),
    "bot": lambda x: x.bot.encode(),
    "bot.agent": lambda x: x.agent.encode(),
    "bot.score": lambda x: b"%d" % x.score,
    "bot.shape": lambda x: x.shape.encode(),
}


def parse_template(text: str) -> list[str | Placeholder]:
    """Literal pieces and placeholders, in order. Raises ValueError for a brace that stands alone."""
    pieces: list[str | Placeholder] = []
    for piece in _PIECE.findall(text):
        if piece in {"{", "}"}:
            raise ValueError(f"{text!r} has a brace that stands alone; write {{{{ or }}}} for a brace itself")
        if piece in {"{{", "}}"}:
            pieces.append(piece[0])
        else:
            pieces.append(Placeholder(piece[1:-1]) if piece[0] == "{" else piece)
    return pieces


def compile_template(text: str, known: Mapping[str, Renderer[S]]) -> Renderer[S]:
    """A function that renders ``text`` as UTF-8. Raises ValueError for a placeholder that is not ``known``."""
    parts: list[Renderer[S]] = []
    literal = ""
    for piece in parse_template(text):
        if isinstance(piece, Placeholder):
            if piece not in known:
                raise unknown(piece, known)
            if literal:
                parts.append(_constant(literal))
            parts.append(known[piece])
            literal = ""
        else:
            literal += piece
    if literal or not parts:
        parts.append(_constant(literal))
    return parts[0] if len(parts) == 1 else _joined(tuple(parts))


def unknown(placeholder: str, known: Iterable[str]) -> ValueError:
    """The error for a placeholder nobody knows, with the nearest one."""
    names = list(known)
    near = difflib.get_close_matches(placeholder, names, 1)
    hint = f"did you mean {{{near[0]}}}?" if near else "known are " + ", ".join(f"{{{name}}}" for name in names)
    return ValueError(f"unknown placeholder {{{placeholder}}}; {hint}")


def _constant(text: str) -> Renderer[S]:
    value = text.encode()
    return lambda _: value


def _joined(parts: tuple[Renderer[S], ...]) -> Renderer[S]:
    return lambda subject: b"".join([part(subject) for part in parts])
