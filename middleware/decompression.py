"""Unpacks request bodies for origins that cannot."""

from __future__ import annotations

from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig


class Decompression(Middleware):
    """Unpack compressed request bodies for origins that cannot."""

    name = "decompression"

    class Config(MiddlewareConfig):
        pass
