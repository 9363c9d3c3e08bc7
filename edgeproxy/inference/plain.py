"""The plain form of questions and answers: a picture, a text or JSON in, labels and numbers out."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Final

from edgeproxy.http.media import media_matcher
from edgeproxy.http.message import Request
from edgeproxy.inference.inputs import Decode, Inputs
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.meaning import likeliest
from edgeproxy.inference.version import Outcome
from edgeproxy.oip import wire
from edgeproxy.oip.envelope import Json, read_json, write_json
from edgeproxy.tensors import ANY, KINDS, Array, Spec, TensorError, Tensors

ANY_INPUT: Final = "input"  # the name of the one input there is, whatever the model calls it

is_json: Final = media_matcher(("application/json", "application/*+json"))
is_text: Final = media_matcher(("text/plain",))


class UnsuitedError(Exception):
    """What was sent is of a type that the model does not take; the message is for whoever sent it."""


class Plain:
    """One model's. Made anew when its manifest changes."""

    def __init__(self, manifest: Manifest, decode: Decode) -> None:
        self._manifest = manifest
        self._specs = {each.name: each.spec for each in manifest.inputs}
        self._content = _inputs(manifest, decode)
        self._head = _inputs(manifest, None)
        takes = self._content.types if self._content is not None else ()
        self._is_content: Callable[[bytes], bool] = is_text if "text/*" in takes else media_matcher(takes)
        known = [each for each in takes if each.startswith("image/")] or ["text/plain"] * bool(takes)
        self._known = ", ".join(("application/json", *known))

    async def read(self, request: Request, content: bytes) -> Tensors:
        """What a request asks. One without a body asks about its own head. Raises UnsuitedError, TensorError for what
        is not as it should be, and TimeoutError where nobody has time to decode a picture."""
        told = request.headers.get(b"content-type", b"")
        if not content:
            if self._head is None:
                raise TensorError("there is no body, and the model does not look at requests alone")
            return self._head.of_head(request)
        if is_json(told):
            return await self._of_json(request, read_json(content))
        if self._content is None or not self._is_content(told):
            raise UnsuitedError(f"what the model takes here is {self._known}")
        return await self._of_content(request, content)

    def write(self, outcome: Outcome) -> bytes:
        """An answer as JSON: labels, the likeliest first, where the first output has some; the values of all outputs
        without. Raises TensorError for values that JSON cannot say."""
        head: Json = {"model": outcome.model, "version": outcome.version, "by": outcome.by}
        values: dict[str, Any] = {}
        try:
            for spec in self._manifest.outputs:
                output = outcome.tensors[spec.name]
                if spec.labels and "labels" not in head:
                    head["labels"] = [likely._asdict() for likely in likeliest(spec, output)]
                else:
                    values[spec.name] = output.tolist()
            return write_json(head | {"outputs": values} if values else head)
        except ValueError:
            raise TensorError("what the model says is no number that JSON has; infer tells it as binary data") from None

    async def _of_content(self, request: Request, content: bytes) -> Tensors:
        if self._content is None:
            raise TensorError("the model takes no text")
        try:
            return await self._content.of_content(request, content)
        except ValueError as error:
            raise TensorError(str(error)) from None

    async def _of_json(self, request: Request, values: Json) -> Tensors:
        if ANY_INPUT in values and ANY_INPUT not in self._specs and len(values) == 1:
            given = values[ANY_INPUT]
            if type(given) is str and self._content is not None and self._is_content(b"text/plain"):
                return await self._of_content(request, given.encode("utf-8", "replace"))
            if len(self._specs) == 1:
                values = {next(iter(self._specs)): given}
        unknown = values.keys() - self._specs.keys()
        if unknown or len(values) < len(self._specs):
            raise TensorError(f"what is wanted is a value for each of {', '.join(self._specs)}")
        return {name: _row(spec, values[name]) for name, spec in self._specs.items()}


def _row(spec: Spec, value: object) -> Array:
    """One question's values, flat or nested; lengths of 1, as the batch's, may be left out. Raises TensorError."""
    called = f"input {spec.name!r}"
    values = value if type(value) is list else [value]
    lengths = [len(values)]
    while values and type(values[0]) is list and len(lengths) < wire.DIMENSIONS:
        lengths.append(len(values[0]))
        values = wire.level(called, values, lengths[-1])
    shape = _shape(called, spec, len(values))
    if len(lengths) > 1 and [each for each in lengths if each != 1] != [each for each in shape if each != 1]:
        raise TensorError(f"{called} is nested as {lengths}; wanted is {spec}")
    return wire.from_json(called, KINDS[spec.kind], shape, values)


def _shape(called: str, spec: Spec, count: int) -> tuple[int, ...]:
    """The shape of a row of so many values: the batch is 1, and another free length what is left for it."""
    free = [place for place, length in enumerate(spec.shape) if length == ANY and place > 0]
    shape = [1 if length == ANY else length for length in spec.shape]
    row = prod(shape)
    if len(free) > 1:
        raise TensorError(f"{called} has more free lengths than one; infer takes it with its shape")
    if free and count and count % row == 0:
        shape[free[0]] = count // row
    if prod(shape) != count:
        raise TensorError(f"{called} has {count} values; wanted is {spec}")
    return tuple(shape)


def _inputs(manifest: Manifest, decode: Decode | None) -> Inputs | None:
    """What makes all inputs out of a content, or without ``decode`` out of a request's head; None if some cannot be."""
    try:
        return Inputs(manifest, {}, content=decode is not None, decode=decode)
    except ValueError:
        return None
