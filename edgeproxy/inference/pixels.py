"""Pixels as a model's input: grey or colour, inverted, normalised and laid out as its manifest says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import numpy as np

from edgeproxy.inference.inputs import Decode
from edgeproxy.inference.manifest import InputSpec, Pixels
from edgeproxy.tensors import ANY, KINDS, Array

# A picture's file, width, height and fit to red, green and blue, a byte each. Raises ValueError and TimeoutError.
Rgb = Callable[[bytes, int, int, Literal["stretch", "cover", "pad"]], Awaitable[bytes]]

_LUMA: Final = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601 §2.5.1


def decoder(rgb: Rgb) -> Decode:
    """What makes tensors of pictures' files. It raises what ``rgb`` raises."""

    async def decode(picture: bytes, spec: InputSpec) -> Array:
        pixels = spec.pixels
        if pixels is None:
            raise ValueError(f"the input {spec.name!r} takes no picture")
        made = tensor(await rgb(picture, pixels.width, pixels.height, pixels.fit), spec.kind, pixels)
        return made.reshape([1 if length == ANY else length for length in spec.shape])

    return decode


def tensor(rgb: bytes, kind: str, pixels: Pixels) -> Array:
    """``3 * width * height`` bytes as one picture of a batch: ``[1, channels, height, width]``, or channels last."""
    picture: Array = np.frombuffer(rgb, np.uint8).reshape(pixels.height, pixels.width, 3)
    if pixels.channels == "grey":
        picture = np.rint(picture.astype(np.float32) @ _LUMA).astype(np.uint8)[..., np.newaxis]
    if pixels.invert:
        picture = 255 - picture
    if kind != "UINT8":
        mean, deviation = (np.array(each, np.float32) for each in (pixels.mean, pixels.deviation))
        picture = ((picture.astype(np.float32) / np.float32(255) - mean) / deviation).astype(KINDS[kind].dtype)
    if pixels.layout == "NCHW":
        picture = picture.transpose(2, 0, 1)
    return np.ascontiguousarray(picture[np.newaxis])
