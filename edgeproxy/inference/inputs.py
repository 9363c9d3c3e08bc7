"""What a model is asked about an exchange: its fields, a text or a picture, as the model's inputs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import numpy as np

from edgeproxy.features.table import feature
from edgeproxy.http.message import Request
from edgeproxy.inference.manifest import InputSpec, Manifest
from edgeproxy.tensors import ANY, KINDS, Array, Tensors

# A picture's bytes to the tensor of an input. Raises ValueError for what is no picture that can be read.
Decode = Callable[[bytes, InputSpec], Awaitable[Array]]

TEXTS: Final = ("text/*", "application/json", "application/*+json", "application/x-www-form-urlencoded")
PICTURES: Final = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/gif")

_A_REQUEST: Final = Request(b"GET", b"/", {b"host": b"a.example"}, authority=b"a.example", host=b"a.example")
_A_TEXT: Final = "a text"

_FromRequest = Callable[[Request], Array]
_FromText = Callable[[str], Array]


class Inputs:
    """What one model's inputs are made from. ``named``: features by input, over what the manifest names; ``content``:
    whether there is a body to look at; ``decode`` makes pictures' tensors.

    ``identity``: of two requests for which it gives the same, :meth:`of_head` makes the same; None where there is none.
    """

    def __init__(self, manifest: Manifest, named: Mapping[str, str], *, content: bool, decode: Decode | None) -> None:
        """Raises ValueError where an input is fed by nothing."""
        unknown = named.keys() - {each.name for each in manifest.inputs}
        if unknown:
            raise ValueError(f"input: {manifest.name!r} has no input {min(unknown)!r}")
        self.identity: Callable[[Request], bytes] | None = None
        self._of_request: list[tuple[str, _FromRequest]] = []
        self._of_text: list[tuple[str, _FromText]] = []
        self._of_picture: list[InputSpec] = []
        self._decode = decode
        for each in manifest.inputs:
            self._feed(each, named.get(each.name) or each.features or "", content)
        if content and not (self._of_text or self._of_picture):
            raise ValueError(f"{manifest.name!r} takes neither a text nor a picture")

    @property
    def types(self) -> tuple[str, ...]:
        """The media types that make sense for it, as patterns."""
        return PICTURES if self._of_picture else TEXTS

    def of_head(self, request: Request) -> Tensors:
        """The tensors that a request's head makes."""
        return {name: vector(request) for name, vector in self._of_request}

    async def of_content(self, request: Request, content: bytes) -> Tensors:
        """The tensors that a request and a body make. Raises ValueError if the body is not what it should be."""
        tensors = self.of_head(request)
        if self._of_text:
            text = content.decode("utf-8", "replace")
            for name, vector in self._of_text:
                tensors[name] = vector(text)
        if self._decode is not None:
            for each in self._of_picture:
                tensors[each.name] = await self._decode(content, each)
        return tensors

    def _feed(self, each: InputSpec, name: str, content: bool) -> None:
        if name:
            made_by = feature(name)
            if made_by.of == "request":
                self.identity = None if self._of_request else made_by.identity
                self._of_request.append((each.name, _rows(made_by.vector, each, _A_REQUEST)))
                return
            if content:
                self._of_text.append((each.name, _rows(made_by.vector, each, _A_TEXT)))
                return
        elif content and each.pixels is not None and self._decode is not None:
            self._of_picture.append(each)
            return
        elif content and each.kind == "BYTES":
            self._of_text.append((each.name, _rows(_as_it_is, each, _A_TEXT)))
            return
        made = f"it is made by {name}, which looks at a text" if name else "nothing here makes it"
        raise ValueError(f"the input {each.name!r} cannot be fed by this rule: {made}")


def _rows(vector: Callable[..., Array], spec: InputSpec, sample: object) -> Callable[..., Array]:
    """The same as one row of the input's shape and kind. Raises ValueError if it does not fit, tried on a sample."""
    shape = tuple([1 if length == ANY and place == 0 else length for place, length in enumerate(spec.shape)])
    dtype = KINDS[spec.kind].dtype

    def row(subject: object) -> Array:
        return vector(subject).astype(dtype, copy=False).reshape(shape)

    try:
        row(sample)
    except ValueError:
        raise ValueError(f"the input {spec.spec} has no place for what its function makes") from None
    return row


def _as_it_is(text: str) -> Array:
    return np.array([text], dtype=object)
