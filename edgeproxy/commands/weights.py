"""What a model learnt, without its graph: its initialisers as a safetensors file, to be averaged with other nodes'.

The format is eight bytes of length, JSON that says where each tensor lies, and their bytes, little-endian: nothing in
it can be run (https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from edgeproxy.inference.onnx_messages import Message, Messages
from edgeproxy.inference.protobuf import FIXED32, FIXED64, VARINT, numbers
from edgeproxy.tensors import KINDS, Array, Kind

_GRAPH: Final = 7  # of ModelProto
_INITIALIZER: Final = 5  # of GraphProto
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9  # of TensorProto
_LISTS: Final = {4: FIXED32, 5: VARINT, 7: VARINT, 10: FIXED64, 11: VARINT}
_BY_NUMBER: Final = {kind.number: kind for kind in KINDS.values()}
_TYPES: Final = {"BOOL": "BOOL", "FP16": "F16", "FP32": "F32", "FP64": "F64"}
_ALIGNED: Final = 8
_METADATA: Final = "__metadata__"


def initializers(model: bytes) -> dict[str, Array]:
    """The constants of a vetted file by name; texts are none of them. Raises VetError, and ValueError for types that
    numpy has not."""
    messages = Messages(model)
    graph = messages.read("ModelProto", messages.all)[_GRAPH][0]
    found: dict[str, Array] = {}
    for part in messages.fields("GraphProto", graph):
        if part.number == _INITIALIZER:
            tensor = messages.read("TensorProto", part)
            name, kind = messages.text(tensor, _NAME), _BY_NUMBER.get(messages.whole(tensor, _TYPE))
            if kind is None or name in found or name == _METADATA:
                raise ValueError(f"the constant {name!r} cannot be told apart, or has a type that cannot be written")
            if kind.size:
                found[name] = _values(messages, tensor, kind)
    return found


def safetensors(weights: Mapping[str, Array], about: Mapping[str, str]) -> Iterator[bytes]:
    """The file's content, piece by piece. ``about``: what else is to be known of it."""
    header: dict[str, object] = {_METADATA: dict(about)}
    at = 0
    for name, array in weights.items():
        header[name] = {"dtype": _type(array), "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % _ALIGNED)
    yield struct.pack("<Q", len(told)) + told
    for array in weights.values():
        yield array.tobytes()


def _values(messages: Messages, tensor: Message, kind: Kind) -> Array:
    content = messages.content
    shape = [int(length) for each in tensor.get(_DIMS, []) for length in numbers(content, each, VARINT)]
    if _RAW in tensor:
        raw = tensor[_RAW][0]
        return np.frombuffer(content[raw.start : raw.end], kind.dtype).reshape(shape)
    listed = [
        value
        for number, wire in _LISTS.items()
        for each in tensor.get(number, [])
        for value in numbers(content, each, wire)
    ]
    if kind.name == "FP16":  # as the bits they are
        return np.array(listed, np.uint16).view(kind.dtype).reshape(shape)
    return np.array(listed).astype(kind.dtype).reshape(shape)


def _type(array: Array) -> str:
    name = next(kind.name for kind in KINDS.values() if kind.dtype == array.dtype)
    return _TYPES.get(name, name.replace("UINT", "U").replace("INT", "I"))
