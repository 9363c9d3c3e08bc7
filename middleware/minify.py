"""Makes HTML, CSS, JavaScript and SVG smaller."""

from __future__ import annotations

from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig


class Minify(Middleware):
    """Make HTML, CSS, JavaScript and SVG smaller before they are kept."""

    name = "minify"

    class Config(MiddlewareConfig):
        pass
