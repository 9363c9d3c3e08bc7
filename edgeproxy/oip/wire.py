"""Tensors on the wire: as values in JSON, flat or nested, or as bytes behind it.

Texts (``BYTES``) are UTF-8 here, as in ONNX, whichever way they come. What is not as its shape and type say is refused
before memory is taken for it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import chain
from math import prod
from typing import Any, Final

import numpy as np

from edgeproxy.oip.envelope import Json
from edgeproxy.tensors import ANY, KINDS, Array, Kind, Spec, TensorError, Tensors

MOST: Final = 64  # tensors
DIMENSIONS: Final = 8
LONGEST_NAME: Final = 128
LONGEST: Final = 1 << 40  # elements along one axis, before anything else bounds them

_SIZE: Final = "binary_data_size"
_LENGTH: Final = struct.Struct("<I")
_BY_DTYPE: Final = {kind.dtype: kind for kind in KINDS.values()}

_BINARY_ONLY: Final = "which goes as binary data only"

# What JSON may hold for each type; nothing for what travels as bytes alone.
_WHOLE: Final = frozenset((int,))
_JSON_TYPES: Final[dict[str, frozenset[type]]] = {
    name: _WHOLE if kind.dtype.kind in "iu" else frozenset((int, float)) for name, kind in KINDS.items()
} | {"BOOL": frozenset((bool,)), "BYTES": frozenset((str,)), "FP16": frozenset()}


def read(
    what: str, entries: object, rest: memoryview, specs: Mapping[str, Spec] | None = None, longest: int = LONGEST
) -> Tensors:
    """The tensors of a message: its ``entries`` in JSON and the bytes behind it.

    ``what``: ``input`` or ``output``, for what is said of mistakes. ``specs``: by name, what they have to be, each with
    something in it and at most ``longest`` elements along an axis whose length is free; None takes any. Raises
    TensorError.
    """
    if type(entries) is not list or not 1 <= len(entries) <= MOST:
        raise TensorError(f"{what}s is not a list of 1 to {MOST} tensors")
    tensors: Tensors = {}
    for entry in entries:
        name = _name(what, entry)
        called = f"{what} {name!r}"
        if name in tensors:
            raise TensorError(f"{called} is there twice")
        kind, shape = _kind(called, entry), _shape(called, entry)
        if specs is not None:
            _check(called, specs.get(name), kind, shape, longest)
        parameters = entry.get("parameters")
        size = parameters.get(_SIZE) if type(parameters) is dict else None
        if size is None:
            tensors[name] = from_json(called, kind, shape, entry.get("data"))
        else:
            if type(size) is not int or not 0 <= size <= len(rest) or "data" in entry:
                raise TensorError(f"{called} has no {_SIZE} of bytes behind the JSON, or data beside them")
            tensors[name] = from_bytes(called, kind, shape, rest[:size])
            rest = rest[size:]
    if len(rest):
        raise TensorError(f"there are {len(rest)} bytes behind those of the {what}s")
    return tensors


def write(what: str, tensors: Mapping[str, Array], binary: Mapping[str, bool]) -> tuple[list[Json], list[memoryview]]:
    """The entries of a message's JSON, and the bytes behind it. ``binary``: by name, whether it goes as bytes. Raises
    TensorError for what cannot go as it was asked for."""
    entries: list[Json] = []
    parts: list[memoryview] = []
    for name, array in tensors.items():
        kind = _BY_DTYPE.get(array.dtype)
        if kind is None:
            raise TensorError(f"{what} {name!r} is of a type that does not travel: {array.dtype}")
        entry: Json = {"name": name, "shape": list(array.shape), "datatype": kind.name}
        if binary[name]:
            part = to_bytes(array)
            entry["parameters"] = {_SIZE: part.nbytes}
            parts.append(part)
        else:
            if not _JSON_TYPES[kind.name]:
                raise TensorError(f"{what} {name!r} is {kind.name}, {_BINARY_ONLY}")
            if kind.dtype.kind == "f" and not np.isfinite(array).all():
                raise TensorError(f"{what} {name!r} is not finite, which JSON cannot say; it may go as binary data")
            entry["data"] = array.ravel().tolist()
        entries.append(entry)
    return entries, parts


def from_json(called: str, kind: Kind, shape: tuple[int, ...], data: object) -> Array:
    """Values, flat in row-major order or nested as the shape is; numbers may be in an array. Raises TensorError."""
    if type(data) is np.ndarray:
        return _from_numbers(called, kind, shape, data)
    if type(data) is not list:
        raise TensorError(f"{called} has no data")
    if data and type(data[0]) is list:
        for length in shape[1:]:
            data = level(called, data, length)
    _count(called, shape, len(data))
    types = _JSON_TYPES[kind.name]
    if not types.issuperset(map(type, data)):
        raise TensorError(
            f"{called} holds what is no {kind.name}" if types else f"{called} is {kind.name}, {_BINARY_ONLY}"
        )
    try:
        if kind.name == "BYTES":
            "".join(data).encode()  # half a surrogate pair is no text
            array: Array = np.array(data, kind.dtype)
        else:
            with np.errstate(over="ignore"):  # what it becomes is looked at
                array = np.array(data, kind.dtype)
            if kind.dtype.kind == "f" and not np.isfinite(array).all():
                raise OverflowError
    except (OverflowError, UnicodeEncodeError):
        raise TensorError(f"{called} holds what is beyond {kind.name}") from None
    return array.reshape(shape)


def _from_numbers(called: str, kind: Kind, shape: tuple[int, ...], data: Array) -> Array:
    _count(called, shape, len(data))
    with np.errstate(over="ignore"):  # what it becomes is looked at
        array: Array = data.astype(kind.dtype)
    if not np.isfinite(array).all():
        raise TensorError(f"{called} holds what is beyond {kind.name}")
    return array.reshape(shape)


def _count(called: str, shape: tuple[int, ...], values: int) -> None:
    if values != prod(shape):
        raise TensorError(f"{called} has {values} values; the shape {list(shape)} has {prod(shape)}")


def level(called: str, rows: list[Any], length: int) -> list[Any]:
    """What is in lists that are all of one length, in one list. Raises TensorError."""
    if set(map(type, rows)) != {list} or set(map(len, rows)) != {length}:
        raise TensorError(f"{called} is not nested as its shape is")
    return list(chain.from_iterable(rows))


def from_bytes(called: str, kind: Kind, shape: tuple[int, ...], content: memoryview) -> Array:
    """Elements one after the other, row-major, little-endian; each text behind its length in 4 bytes. The array may lie
    in ``content`` itself, and is then not to be written to. Raises TensorError."""
    count = prod(shape)
    if not kind.size:
        return np.array(_texts(called, count, content), kind.dtype).reshape(shape)
    if len(content) != count * kind.size:
        raise TensorError(f"{called} has {len(content)} bytes; the shape {list(shape)} has {count * kind.size}")
    array = np.frombuffer(content, kind.dtype)
    if kind.name == "BOOL" and count and array.view(np.uint8).max() > 1:
        raise TensorError(f"{called} holds what is no BOOL")
    if not array.flags.aligned:
        array = array.copy()
    return array.reshape(shape)


def to_bytes(array: Array) -> memoryview:
    """The elements as :func:`from_bytes` takes them."""
    kind = _BY_DTYPE[array.dtype]
    if kind.size:
        return np.ascontiguousarray(array, kind.dtype).reshape(-1).view(np.uint8).data
    texts = [text.encode() for text in array.ravel().tolist()]
    return memoryview(b"".join([_LENGTH.pack(len(text)) + text for text in texts]))


def _texts(called: str, count: int, content: memoryview) -> list[str]:
    if len(content) < count * _LENGTH.size:
        raise TensorError(f"{called} has too few bytes for {count} texts")
    texts: list[str] = []
    at = 0
    try:
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(content, at)
            at += _LENGTH.size
            if length > len(content) - at:
                break
            texts.append(str(content[at : at + length], "utf-8"))
            at += length
    except struct.error:
        pass  # the lengths lead beyond the end
    except UnicodeDecodeError:
        raise TensorError(f"{called} holds a text that is not in UTF-8") from None
    if len(texts) != count or at != len(content):
        raise TensorError(f"{called} is not {count} texts, each behind its length")
    return texts


def _name(what: str, entry: object) -> str:
    name = entry.get("name") if type(entry) is dict else None
    if type(name) is not str or not 1 <= len(name) <= LONGEST_NAME:
        raise TensorError(f"one of the {what}s has no name of 1 to {LONGEST_NAME} characters")
    return name


def _kind(called: str, entry: Json) -> Kind:
    told = entry.get("datatype")
    kind = KINDS.get(told) if type(told) is str else None
    if kind is None:
        raise TensorError(f"{called} has no datatype known here; known are {', '.join(KINDS)}")
    return kind


def _shape(called: str, entry: Json) -> tuple[int, ...]:
    told = entry.get("shape")
    if type(told) is not list or len(told) > DIMENSIONS or not _WHOLE.issuperset(map(type, told)):
        raise TensorError(f"{called} has no shape of at most {DIMENSIONS} whole numbers")
    if told and not (min(told) >= 0 and max(told) <= LONGEST):
        raise TensorError(f"{called} has a shape no tensor has")
    return tuple(told)


def _check(called: str, spec: Spec | None, kind: Kind, shape: tuple[int, ...], longest: int) -> None:
    if spec is None:
        raise TensorError(f"there is no {called}")
    if kind.name != spec.kind:
        raise TensorError(f"{called} is {spec.kind}, not {kind.name}")
    if len(shape) != len(spec.shape) or any(map(_differs, spec.shape, shape)):
        raise TensorError(f"{called} has the shape {list(shape)}; wanted is {spec}")
    if any(want == ANY and has > longest for want, has in zip(spec.shape, shape, strict=True)):
        raise TensorError(f"{called} is longer than {longest} along an axis whose length is free")


def _differs(wanted: int, has: int) -> bool:
    return has != wanted and (wanted != ANY or not has)
