"""Answers to questions, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edgeproxy.oip import wire
from edgeproxy.oip.envelope import Fields, Json, pack, unpack, write_json
from edgeproxy.oip.request import Question
from edgeproxy.tensors import TensorError, Tensors

LONGEST_VERSION: Final = 64


def encode(model: str, version: str, tensors: Tensors, question: Question) -> tuple[Fields, bytes]:
    """Fields and body of an answer: the outputs that were asked for, each as it was asked for. Raises TensorError for
    one that only goes as binary data."""
    binary = question.outputs or dict.fromkeys(tensors, question.binary)
    entries, parts = wire.write("output", {name: tensors[name] for name in binary}, binary)
    head: Json = {"model_name": model, "model_version": version}
    if question.id:
        head["id"] = question.id
    head["outputs"] = entries
    return pack(head, parts)


def decode(fields: Mapping[bytes, bytes], body: bytes) -> tuple[str, Tensors]:
    """The version that answered, in printable ASCII, and the outputs, whatever they are:
    :func:`edgeproxy.tensors.check` says whether they are the model's. ``fields`` in lower case. Raises TensorError."""
    head, rest = unpack(fields, body)
    version = head.get("model_version", "")
    if type(version) is not str or len(version) > LONGEST_VERSION or not (version.isascii() and version.isprintable()):
        raise TensorError("the version is no word")
    return version, wire.read("output", head.get("outputs"), rest)


def error(why: str) -> bytes:
    """The body of what is no answer: ``why``, made a sentence."""
    return write_json({"error": f"{why[:1].upper()}{why[1:].removesuffix('.')}."})
