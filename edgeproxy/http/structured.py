"""Structured field values (RFC 9651): dictionaries and lists, parsed strictly; members, written in their one form.

A value that breaks the grammar anywhere is no value at all (RFC 9651 §4.2): the caller gets None and goes on as if the
field were not there.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

LONGEST = 64 * 1024  # bytes; a head is never longer


class Token(NamedTuple):
    """A token, told apart from a string."""

    text: str


class Date(NamedTuple):
    """Seconds since the epoch."""

    seconds: int


Bare = bool | int | float | str | bytes | Token | Date
Parameters = dict[str, Bare]


class Item(NamedTuple):
    """One bare item with its parameters. Byte sequences are bytes; strings, also display strings, are str."""

    value: Bare
    parameters: Parameters


class InnerList(NamedTuple):
    """Items in parentheses, with the parameters of them all."""

    items: list[Item]
    parameters: Parameters


Member = Item | InnerList


def parse_dictionary(value: bytes) -> dict[str, Member] | None:
    """Keys in order; of a key given twice the last value, at its last place. None if the value is malformed."""
    return _whole(value, _Reader.dictionary)


def parse_list(value: bytes) -> list[Member] | None:
    """None if the value is malformed."""
    return _whole(value, _Reader.list)


def serialize(member: Member) -> str:
    """A member as RFC 9651 §4.1 writes it. Raises ValueError for what cannot be written."""
    text = f"({' '.join(map(serialize, member.items))})" if isinstance(member, InnerList) else _write(member.value)
    return text + "".join(
        f";{key}" if value is True else f";{key}={_write(value)}" for key, value in member.parameters.items()
    )


def _write(value: Bare) -> str:
    if isinstance(value, bool):
        return f"?{value:d}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        whole, _, fraction = f"{value:.3f}".partition(".")
        return f"{whole}.{fraction.rstrip('0') or '0'}"
    if isinstance(value, bytes):
        return f":{binascii.b2a_base64(value, newline=False).decode()}:"
    if isinstance(value, Token):
        return value.text
    if isinstance(value, Date):
        return f"@{value.seconds}"
    if not value.isascii() or not value.isprintable():
        raise ValueError("a string holds characters that only display strings may")
    return '"' + _TO_ESCAPE.sub(r"\\\g<0>", value) + '"'


T = TypeVar("T")


class _MalformedError(Exception):
    """The grammar is broken; never leaves this module."""


def _whole(value: bytes, read: Callable[[_Reader], T]) -> T | None:
    if len(value) > LONGEST:
        return None
    try:
        reader = _Reader(value.decode("ascii").strip(" "))
        return read(reader)
    except (_MalformedError, UnicodeDecodeError):
        return None


_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_NUMBER = re.compile(r"-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])")
_INTEGER = re.compile(r"-?\d{1,15}(?![\d.])")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_ESCAPED = re.compile(r'\\(["\\])')
_TO_ESCAPE = re.compile(r'["\\]')
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*")
_BYTES = re.compile(r":([A-Za-z0-9+/]*={0,2}):")
_DISPLAY = re.compile(r'%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"')
_HEX = re.compile(rb"%([0-9a-f]{2})")
_BOOLEAN = re.compile(r"\?[01]")
_OWS = re.compile(r"[ \t]*")


class _Reader:
    """RFC 9651 §4.2, one method a rule."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def dictionary(self) -> dict[str, Member]:
        found: dict[str, Member] = {}
        while self._at < len(self._text):
            key = self._take(_KEY)[0]
            found.pop(key, None)
            found[key] = self._member() if self._eat("=") else Item(True, self._parameters())
            self._separator()
        return found

    def list(self) -> list[Member]:
        found: list[Member] = []
        while self._at < len(self._text):
            found.append(self._member())
            self._separator()
        return found

    def _separator(self) -> None:
        self._take(_OWS)
        if self._at == len(self._text):
            return
        if not self._eat(","):
            raise _MalformedError
        self._take(_OWS)
        if self._at == len(self._text):
            raise _MalformedError  # a comma with nothing behind it

    def _member(self) -> Member:
        if not self._eat("("):
            return self._item()
        items: list[Item] = []
        while True:
            self._blanks()
            if self._eat(")"):
                return InnerList(items, self._parameters())
            items.append(self._item())
            if self._peek() not in {" ", ")"}:
                raise _MalformedError

    def _item(self) -> Item:
        return Item(self._bare(), self._parameters())

    def _parameters(self) -> Parameters:
        found: Parameters = {}
        while self._eat(";"):
            self._blanks()
            key = self._take(_KEY)[0]
            found.pop(key, None)
            found[key] = self._bare() if self._eat("=") else True
        return found

    def _bare(self) -> Bare:
        first = self._peek()
        if first == '"':
            return _ESCAPED.sub(r"\1", self._take(_STRING)[1])
        if first == ":":
            return self._bytes()
        if first == "?":
            return self._take(_BOOLEAN)[0] == "?1"
        if first == "@":
            self._at += 1
            return Date(int(self._take(_INTEGER)[0]))
        if first == "%":
            return self._display()
        if first == "-" or first.isdigit():
            number = self._take(_NUMBER)[0]
            return float(number) if "." in number else int(number)
        return Token(self._take(_TOKEN)[0])

    def _bytes(self) -> bytes:
        try:
            return binascii.a2b_base64(self._take(_BYTES)[1])
        except binascii.Error:
            raise _MalformedError from None

    def _display(self) -> str:
        quoted = self._take(_DISPLAY)[1].encode()
        try:
            return _HEX.sub(lambda match: bytes((int(match[1], 16),)), quoted).decode("utf-8")
        except UnicodeDecodeError:
            raise _MalformedError from None

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _eat(self, char: str) -> bool:
        if self._peek() != char:
            return False
        self._at += 1
        return True

    def _blanks(self) -> None:
        while self._eat(" "):
            pass

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _MalformedError
        self._at = match.end()
        return match
