"""Makes pictures fit whoever asks for them."""

from __future__ import annotations

from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig


class Images(Middleware):
    """Make pictures fit whoever asks for them."""

    name = "images"

    class Config(MiddlewareConfig):
        pass
