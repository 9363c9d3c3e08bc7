"""Requests to a few kinds by what they usually take, learned from what they took."""

from __future__ import annotations

from math import log
from typing import Final

from edgeproxy.balance.pace import KINDS

SHAPES: Final = 1_024  # of one pool; where more come, those asked for least go
FIRST: Final = 0.004  # seconds: what takes less is of kind 0
STEP: Final = 2.5  # a kind takes so many times what the one before it does
DAMPING: Final = 16  # answers that a shape's time is a mean of, at most
MARGIN: Final = 0.25  # of a kind: how far a time must be beyond the border before its shape changes sides

_SEGMENT: Final = 24  # bytes of a path's first segment that count
_ENDING: Final = 8
_LOOKED_AT: Final = 1_024  # bytes of a target
_DIGITS: Final = b"0123456789"


class Shape:
    """Requests with the same method, first segment and ending: they share one time, and its logarithm is the kind."""

    __slots__ = ("_log", "answers", "kind")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.answers = 0
        self._log = 0.0

    def took(self, seconds: float) -> None:
        """An answer's head came after ``seconds``: a decayed geometric mean, which one slow answer hardly moves."""
        self.answers += 1
        place = log(max(seconds, 1e-6) / FIRST) / log(STEP) + 1.0
        self._log += (place - self._log) / min(self.answers, DAMPING)
        if not self.kind - MARGIN <= self._log < self.kind + 1.0 + MARGIN or self.answers == 1:
            self.kind = max(0, min(KINDS - 1, int(self._log)))

    def __repr__(self) -> str:
        return f"<Shape of kind {self.kind} by {self.answers} answers>"


class Kinds:
    """The shapes a pool is asked for."""

    __slots__ = ("_all", "_shapes")

    def __init__(self) -> None:
        self._all = Shape(0)
        self._shapes: dict[bytes, Shape] = {}

    def of(self, method: bytes, target: bytes) -> Shape:
        """The shape of such requests. One that has no answer yet is taken for what most are."""
        key = shape_key(method, target)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= SHAPES:
                self._thin()
            shape = self._shapes[key] = Shape(self._all.kind)
        return shape

    def took(self, shape: Shape, seconds: float) -> None:
        """A request of that shape was answered after ``seconds``."""
        shape.took(seconds)
        self._all.took(seconds)

    def _thin(self) -> None:
        """Keep the half with the most answers, and count anew: a flood of new shapes displaces none that are in use."""
        by_use = sorted(self._shapes.items(), key=_answers, reverse=True)[: SHAPES // 2]
        for _, shape in by_use:
            shape.answers = min(shape.answers, DAMPING)
        self._shapes = dict(by_use)

    def __len__(self) -> int:
        return len(self._shapes)

    def __repr__(self) -> str:
        return f"<Kinds of {len(self._shapes)} shapes>"


def _answers(item: tuple[bytes, Shape]) -> int:
    return item[1].answers


def shape_key(method: bytes, target: bytes) -> bytes:
    """``GET /api`` or ``GET /assets .js``: method, first segment without its digits, ending of the last. A target of
    one segment has none of its own."""
    end = target.find(b"?", 0, _LOOKED_AT)
    path = target[:_LOOKED_AT] if end < 0 else target[:end]
    segment = path.find(b"/", 1)
    first = path[1:segment] if 0 < segment < len(path) - 1 else b""
    dot = path.rfind(b".")
    ending = path[dot + 1 :] if dot > path.rfind(b"/") else b""
    if len(ending) > _ENDING or not ending.isalnum():
        ending = b""
    if not first.isalpha():
        first = first[:_SEGMENT].translate(None, _DIGITS)
    return b"%b /%b .%b" % (method[:_ENDING], first[:_SEGMENT], ending)
