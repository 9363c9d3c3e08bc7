"""Questions with many numbers, read without making an object of each.

simdjson puts a tensor's values straight into memory, in a quarter of the time that ``json`` and numpy take for them.
Only what both read alike goes this way; the rest, and whatever is wrong with a message, is left to ``json``.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import simdjson

FROM: Final = 8 * 1024  # bytes of JSON; below, a list is as quick

# What reading takes beside the text, some 13 bytes for each of its own, is kept for the next one up to this length:
# fresh memory costs half as much again, in page faults.
_KEPT: Final = 2 * 1024 * 1024

_KINDS: Final = frozenset(("FP32", "FP64"))
_TENSORS: Final = frozenset(("inputs", "outputs"))

_parser: Final = simdjson.Parser()


def read_numbers(text: bytes) -> dict[str, Any] | None:
    """A JSON object, the data of its floating-point tensors as float64[n]. None for what is not such an object, or has
    other lists than these tensors and their shapes."""
    try:
        parser = _parser if len(text) <= _KEPT else simdjson.Parser()
        head: dict[str, Any] = _members(parser.parse(text))
        lists = 0
        for name, value in head.items():
            if name in _TENSORS and isinstance(value, simdjson.Array):
                entries = [_entry(entry) for entry in value]
                lists += 1 + sum(["data" in entry for entry in entries]) + sum(["shape" in entry for entry in entries])
                head[name] = entries
            else:
                head[name] = _plain(value)
    except (ValueError, TypeError, RuntimeError):
        return None
    # A list inside of data would have been read as its values.
    return head if text.count(b"[") == lists else None


def _members(value: object) -> dict[str, Any]:
    """Raises TypeError for what is no object, or has a name twice, of which each reader takes another."""
    if not isinstance(value, simdjson.Object):
        raise TypeError
    names = list(value.keys())
    members: dict[str, Any] = {name: value[name] for name in names}
    if len(members) < len(names):
        raise TypeError
    return members


def _entry(value: object) -> dict[str, Any]:
    """Raises TypeError for what is no tensor of floating-point numbers."""
    entry = _members(value)
    data = entry.pop("data", None)
    plain = {name: _plain(told) for name, told in entry.items()}
    if data is not None:
        if not isinstance(data, simdjson.Array) or plain.get("datatype") not in _KINDS:
            raise TypeError
        plain["data"] = np.frombuffer(data.as_buffer(of_type="d"), np.float64)
    return plain


def _plain(value: object) -> object:
    if isinstance(value, simdjson.Object):
        return value.as_dict()
    return value.as_list() if isinstance(value, simdjson.Array) else value
