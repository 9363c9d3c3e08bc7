"""Parameters that are meant for the edge: found in a query, and taken out of it before anybody else reads it."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from edgeproxy.http.message import Request


class Parameters:
    """Parameters of these names; ``utm_*`` stands for all that begin so.

    A name counts percent-decoded (WHATWG URL §5.1), so ``%61pi_key`` is no way past. One expression finds them,
    whatever their number: its time is linear in the query's length.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        alternatives = "|".join([_spelled(name) for name in names]) or "(?!)"
        self._pattern: re.Pattern[bytes] = re.compile(f"&({alternatives})(?:=([^&]*))?(?=&|$)".encode())

    def split(self, query: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """The parameters found, as (name, value) in their order, decoded, and the query without them."""
        found: list[tuple[bytes, bytes]] = []
        if not query:
            return found, query
        text = b"&" + query
        kept: list[bytes] = []
        end = 0
        for match in self._pattern.finditer(text):
            name, value = match.groups(b"")
            found.append((decoded(name), decoded(value)))
            kept.append(text[end : match.start()])
            end = match.end()
        if not found:
            return found, query
        kept.append(text[end:])
        return found, b"".join(kept)[1:]

    def __repr__(self) -> str:
        return f"<Parameters {' '.join(self._names)}>"


def decoded(value: bytes) -> bytes:
    """A parameter's name or value as forms are read (WHATWG URL §5.1)."""
    # By find(): `bytes in bytes` first fails to make a number of its left side, at four times the cost.
    return unquote_to_bytes(value.replace(b"+", b" ")) if value.find(b"%") >= 0 or value.find(b"+") >= 0 else value


def ask_for(request: Request, query: bytes) -> None:
    """Have a request ask for another query: so the cache's key, the origin and the log see it."""
    if query != request.query or (not query and request.target.endswith(b"?")):
        path = request.target.partition(b"?")[0]
        request.query = query
        request.target = path + b"?" + query if query else path


def _spelled(name: str) -> str:
    """An expression for every way to write a name."""
    spelled = "".join([f"(?:{re.escape(char)}|%{_hexadecimal(char)})" for char in name.removesuffix("*")])
    return spelled + "[^=&]*" if name.endswith("*") else spelled


def _hexadecimal(char: str) -> str:
    return "".join([f"[{digit}{digit.upper()}]" for digit in f"{ord(char):02x}"])
