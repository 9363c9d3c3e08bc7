"""Rules over a token's claims, as configuration writes them: ``claims.role in ["admin"]``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

Scalar = str | int | float | bool

_RULE = re.compile(
    r'claims(?P<path>(?:\.[^\s.\["=]+|\["[^"\\]+"\])+)\s*(?P<operator>==|(?:in|contains)\b)\s*(?P<value>.+)'
)
_STEP = re.compile(r'\.([^.\[]+)|\["([^"]+)"\]')
_WORD_LISTS = frozenset(("scope", "scp"))  # RFC 8693 §4.2: words with spaces between them
_SCOPE = re.compile(r"[!#-\[\]-~]+")  # RFC 6749 §3.3


class Rule(NamedTuple):
    """A claim, by the names that lead to it, and the values one of which it must be, or contain.

    A rule about a claim that is not there, or of another type, does not hold.
    """

    path: tuple[str, ...]
    operator: str
    values: tuple[Scalar, ...]

    def holds(self, claims: Mapping[str, Any]) -> bool:
        value: Any = claims
        for name in self.path:
            if not isinstance(value, Mapping) or name not in value:
                return False
            value = value[name]
        if self.operator != "contains":
            return self._wants(value)
        if isinstance(value, str) and self.path[-1] in _WORD_LISTS:
            value = value.split(" ")
        return isinstance(value, list) and any(map(self._wants, value))

    @property
    def scope(self) -> str:
        """The values of a rule about a token's scope as RFC 6750 §3 tells them; "" for other rules."""
        words = [value for value in self.values if isinstance(value, str) and _SCOPE.fullmatch(value)]
        return " ".join(words) if self.path[-1] in _WORD_LISTS else ""

    def _wants(self, value: Any) -> bool:
        return any(_kind(value) is _kind(wanted) and value == wanted for wanted in self.values)


def parse_rule(text: str) -> Rule:
    """``claims.a.b == 1``, ``claims["https://a.example/role"] in ["x", "y"]``, ``claims.roles contains "x"``.

    Values are JSON. Raises ValueError.
    """
    match = _RULE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'{text!r} is no rule; write claims.role in ["admin"], with ==, in or contains')
    operator = match["operator"]
    try:
        given = json.loads(match["value"], parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ValueError(f'{match["value"]!r} in {text!r} is not JSON; text stands in double quotes: "admin"') from None
    many = isinstance(given, list)
    values = tuple(given) if many else (given,)
    if not values or not all(isinstance(value, Scalar) for value in values):
        raise ValueError(f"{text!r} compares with something else than text, numbers, true and false")
    if operator != "contains" and many is (operator == "=="):
        raise ValueError(f'{text!r}: == takes one value, "in" a list of them')
    return Rule(tuple(plain or quoted for plain, quoted in _STEP.findall(match["path"])), operator, values)


def _kind(value: Any) -> Callable[..., Any]:
    """What is compared with what: true is not 1, and 1 is 1.0, as in JSON."""
    return float if type(value) is int else type(value)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
