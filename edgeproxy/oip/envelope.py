"""What both directions have in common: a JSON object, and behind it what tensors are sent as bytes.

Without the field ``Inference-Header-Content-Length`` all of a body is JSON; with it, so many bytes are, and the rest is
binary tensor data (the protocol's binary tensor data extension).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from edgeproxy.oip.numbers import FROM, read_numbers
from edgeproxy.tensors import TensorError

LENGTH: Final = b"inference-header-content-length"

Fields = dict[bytes, bytes]
Json = dict[str, Any]

_DIGITS: Final = 15  # more bytes than any body has


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def json_size(fields: Mapping[bytes, bytes], size: int) -> int:
    """How many of a body's ``size`` bytes are JSON. Raises TensorError for a field that cannot be right."""
    told = fields.get(LENGTH)
    if told is None:
        return size
    if not told.isdigit() or len(told) > _DIGITS or int(told) > size:
        raise TensorError("Inference-Header-Content-Length is not how many bytes of the body are JSON")
    return int(told)


def unpack(fields: Mapping[bytes, bytes], body: bytes) -> tuple[Json, memoryview]:
    """The JSON object, the data of long tensors perhaps as an array, and the bytes behind it. Raises TensorError."""
    size = json_size(fields, len(body))
    text = body[:size]
    head = read_numbers(text) if size >= FROM else None
    return read_json(text) if head is None else head, memoryview(body)[size:]


def read_json(text: bytes) -> Json:
    """A JSON object without ``NaN`` and ``Infinity``, which no JSON has (RFC 8259 §6). Raises TensorError."""
    try:
        read = _decode(str(text, "utf-8"))
    except json.JSONDecodeError as error:
        raise TensorError(f"the JSON cannot be read: {error.msg} at character {error.pos}") from None
    except UnicodeDecodeError:
        raise TensorError("the JSON is not in UTF-8") from None
    except (ValueError, RecursionError):
        raise TensorError("the JSON holds a number that is none, or too long, or is nested too deeply") from None
    if type(read) is not dict:
        raise TensorError("the JSON is no object")
    return read


def write_json(value: object) -> bytes:
    """Raises ValueError for NaN and infinity."""
    return _encode(value).encode()


def pack(head: Json, binary: Iterable[memoryview]) -> tuple[Fields, bytes]:
    """The fields that say what the body is, and the body. Raises ValueError for NaN and infinity in the JSON."""
    text = write_json(head)
    parts = list(binary)
    if not parts:
        return {b"content-type": b"application/json"}, text
    fields = {b"content-type": b"application/octet-stream", LENGTH: b"%d" % len(text)}
    return fields, b"".join((text, *parts))
