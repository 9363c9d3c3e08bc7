"""Questions: what is sent to ``POST /v2/models/{name}/infer``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from edgeproxy.oip import wire
from edgeproxy.oip.envelope import Fields, Json, pack, unpack
from edgeproxy.tensors import Spec, TensorError, Tensors

LONGEST_ID: Final = 256
LONGEST_AXIS: Final = 1024


class Question(NamedTuple):
    """``id``: what the answer bears too, "" for none. ``outputs``: those that are wanted, and whether as binary data;
    none for all of them, as ``binary`` says."""

    id: str
    tensors: Tensors
    outputs: dict[str, bool]
    binary: bool


def encode(tensors: Tensors, outputs: Sequence[str] = (), *, binary: bool = True, id: str = "") -> tuple[Fields, bytes]:  # noqa: A002 -- the protocol's word
    """Fields and body that ask for ``outputs``, all of them if there are none. ``binary``: whether tensors go as bytes,
    both ways. Raises TensorError for what only goes so."""
    entries, parts = wire.write("input", tensors, dict.fromkeys(tensors, binary))
    head: Json = {"id": id} if id else {}
    head["inputs"] = entries
    if outputs:
        head["outputs"] = [{"name": name} for name in outputs]
    if binary:
        head["parameters"] = {"binary_data_output": True}
    return pack(head, parts)


def decode(
    fields: Mapping[bytes, bytes],
    body: bytes,
    inputs: Mapping[str, Spec],
    outputs: Sequence[str],
    longest: int = LONGEST_AXIS,
) -> Question:
    """``fields`` in lower case. ``inputs`` by name and the names of the ``outputs``: what the model takes and gives;
    ``longest``: the most elements along an axis whose length is free. Raises TensorError, whose text is for the client.
    """
    head, rest = unpack(fields, body)
    told = head.get("id", "")
    if type(told) is not str or len(told) > LONGEST_ID:
        raise TensorError(f"the id is no text of at most {LONGEST_ID} characters")
    tensors = wire.read("input", head.get("inputs"), rest, inputs, longest)
    for name in inputs:
        if name not in tensors:
            raise TensorError(f"input {name!r} is missing")
    binary = _parameter("the parameter", head, "binary_data_output", otherwise=False)
    return Question(told, tensors, _wanted(head.get("outputs"), outputs, binary), binary)


def _wanted(entries: object, known: Sequence[str], binary: bool) -> dict[str, bool]:
    if entries is None:
        return {}
    if type(entries) is not list or len(entries) > wire.MOST:
        raise TensorError(f"outputs is not a list of at most {wire.MOST}")
    wanted: dict[str, bool] = {}
    for entry in entries:
        name = entry.get("name") if type(entry) is dict else None
        if type(name) is not str or name not in known or name in wanted:
            raise TensorError(f"outputs names each of those that are wanted once; known are {', '.join(known)}")
        wanted[name] = _parameter(f"output {name!r}: the parameter", entry, "binary_data", otherwise=binary)
    return wanted


def _parameter(called: str, holder: Mapping[str, Any], name: str, *, otherwise: bool) -> bool:
    parameters = holder.get("parameters")
    if parameters is None:
        return otherwise
    value = parameters.get(name, otherwise) if type(parameters) is dict else None
    if type(value) is not bool:
        raise TensorError(f"{called} {name} is neither true nor false")
    return value
