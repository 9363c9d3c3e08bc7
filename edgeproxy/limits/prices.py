"""What a request and its answer cost: a table by method, path and status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

ROWS: Final = 64
_STATUS: Final = re.compile(r"[1-5](?:\d\d|xx)")
_REQUEST: Final = re.compile(r"[A-Z][A-Z_-]*(?: /[^\s?#%]*)?|/[^\s?#%]*")


def parse_row(text: str) -> str:
    """What a row of the table is about: ``POST``, ``/search``, ``POST /search``, ``404``, ``4xx`` or ``default``.
    Raises ValueError."""
    word, space, rest = text.strip().partition(" ")
    row = word.lower() if word[:1].isdigit() or word == "default" else word if word.startswith("/") else word.upper()
    row += space + rest.lstrip()
    if row == "default" or _STATUS.fullmatch(row) or _REQUEST.fullmatch(row):
        return row
    raise ValueError(
        f"{text!r} is nothing that costs; write a method (POST), what a path begins with (/search), both "
        "(POST /search), a status (404, 4xx) or default"
    )


class Prices:
    """Made from a table whose keys have passed ``parse_row``. The longest path decides, with its method before without;
    then the method, then the default. What a status costs comes on top, when the answer is out.

    later: some answers cost something. even: every request costs 1, and no answer anything.
    """

    __slots__ = ("_default", "_requests", "_statuses", "even", "later")

    def __init__(self, table: Mapping[str, float]) -> None:
        self._default = table.get("default", 1.0)
        self._statuses: dict[int, float] = {}
        rows: list[tuple[bytes, bytes, float]] = []
        for key in sorted(table, key=lambda key: key.endswith("xx"), reverse=True):  # 404 overrides 4xx
            cost = table[key]
            if _STATUS.fullmatch(key):
                first = int(key.replace("x", "0"))
                self._statuses |= dict.fromkeys(range(first, first + (100 if "x" in key else 1)), cost)
            elif key != "default":
                method, prefix = _split(key)
                rows.append((method, prefix, cost))
        rows.sort(key=lambda row: (len(row[1]), bool(row[0])), reverse=True)
        self._requests = rows
        self.later = bool(self._statuses)
        self.even = self._default == 1.0 and not rows and not self.later

    def request(self, method: bytes, path: bytes) -> float:
        """What a request costs before it is answered."""
        for wanted, prefix, cost in self._requests:
            if (not wanted or wanted == method) and path.startswith(prefix):
                return cost
        return self._default

    def answer(self, status: int) -> float:
        """What an answer of that status costs on top."""
        return self._statuses.get(status, 0.0)

    def most(self) -> float:
        """What the dearest request costs."""
        return max([self._default, *(cost for _, _, cost in self._requests)])


def _split(key: str) -> tuple[bytes, bytes]:
    method, _, prefix = key.partition(" ")
    return (b"", method.encode()) if method.startswith("/") else (method.encode(), prefix.encode())
