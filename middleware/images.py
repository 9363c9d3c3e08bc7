"""Makes pictures fit whoever asks for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgeproxy.config.snapshot import Route
from edgeproxy.config.values import Many, Name, Off, Path
from edgeproxy.http.message import Request, Response
from edgeproxy.images import hints
from edgeproxy.images.choice import COUNTABLE, Rules
from edgeproxy.images.front import Front
from edgeproxy.images.options import NAMES
from edgeproxy.images.plan import Metadata
from edgeproxy.images.settings import LimitSettings, StudioSettings
from edgeproxy.images.studio import Studio
from edgeproxy.images.variants import Variants, Ways
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

# What keeps strangers from having variants made without end.
_GUARDS = ("signed_url", "api_key", "basic_auth", "client_certificate", "forward_auth", "jwt")

Width = Annotated[int, Field(ge=1, le=12_000)]
Quality = Annotated[int, Field(ge=1, le=100)]


def _option(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"{name!r} is no option; known are {', '.join(NAMES)}")
    return name


def _folder(path: str) -> str:
    if not path.endswith("/") or path == "/":
        raise ValueError(f"{path!r} is not what the path of a picture can begin with; write it like /cdn-cgi/image/")
    return path


class Images(Middleware):
    """Make pictures fit whoever asks for them: smaller, in the format their browser reads best, cut and turned.

    A variant is asked for by `/cdn-cgi/image/width=800,format=auto/photo.jpg`, by `/photo.jpg?width=800` (`query`), or
    by the picture's own URL (`auto`). All ways to write one variant are one entry of the cache, which a purge of the
    picture's URL purges too. Where none can be made the original is passed on, with the reason in `edgeproxy-image`.
    The options are Cloudflare's; [images.md](images.md) has them all. `edgeproxy_images_total` counts the outcomes.
    """

    name = "images"

    class Config(MiddlewareConfig):
        prefix: Annotated[Annotated[Path, AfterValidator(_folder)] | None, Off] = "/cdn-cgi/image/"
        """What the path begins with where options stand in it; `off` for no such paths."""

        query: bool = False
        """Whether options may stand in the query: `?width=800&format=webp`. They are taken out of it before the origin
        sees it, so this is for routes of pictures, where no other parameter is called `q` or `width`."""

        auto: bool = False
        """Whether pictures are made to fit unasked: in the best of `formats` that `Accept` names, and by `hints`."""

        extensions: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")], ...], Many] = (
            *("jpg", "jpeg", "png", "gif", "webp"),
        )
        """Of the paths that are pictures, for `auto`."""

        formats: Annotated[tuple[Literal["avif", "webp"], ...], Many] = ("avif", "webp")
        """What `format=auto` and `auto` may choose, the one liked best first."""

        hints: bool = False
        """Whether widths go by client hints, for `auto` and `width=auto`: `Sec-CH-Width`, or else
        `Sec-CH-Viewport-Width` and `Sec-CH-DPR`. HTML pages of this route then ask browsers for them (`Accept-CH`);
        browsers send them over https only, and to other hosts where a `Permissions-Policy` lets them."""

        save_data: Annotated[Quality | None, Off] = 50
        """The quality for clients that say `Save-Data: on`, for `auto` and `width=auto`; `off` for the usual one."""

        sizes: Literal["listed", "any"] = "listed"
        """`listed`: only `widths` (heights too) and `qualities`, 400 for others, so that nobody can have variants made
        without end. `any` needs a stage beside it that knows who asks: `signed_url`, or one for credentials."""

        widths: Annotated[tuple[Width, ...], Many, Field(min_length=1, max_length=64)] = (
            *(32, 64, 96, 128, 256, 320, 384, 480, 640, 750, 828, 960, 1080, 1200, 1440, 1600, 1920, 2048, 2560, 3840),
        )
        """Pixels of a side that may be asked for, and the widths that hints choose among."""

        qualities: Annotated[tuple[Quality, ...], Many, Field(max_length=32)] = (50, 65, 75, 80, 90)
        """Qualities that may be asked for, beside `low`, `medium-low`, `medium-high` and `high`."""

        options: Annotated[tuple[Annotated[str, AfterValidator(_option)], ...] | None, Many] = None
        """Options that may be used. Not given: all of them with `sizes: any`, else all but those that take numbers at
        will: `background`, `blur`, `brightness`, `contrast`, `gamma`, `saturation`, `sharpen`, `trim`."""

        metadata: Metadata = "copyright"
        """What is kept of a picture's metadata where it is not asked for: `none`, `copyright`, or `keep`."""

        sources: Annotated[tuple[Name, ...], Many] = ()
        """Other routes whose pictures may be asked for by the prefix. Their own guards are not asked: what lies there
        becomes as public as this route."""

        limits: LimitSettings = LimitSettings()
        """What one picture may cost."""

        studio: StudioSettings = StudioSettings()
        """Where pictures are made, and how well."""

    config: Config
    request: Callable[[Exchange], Response | None]
    response: Callable[[Exchange, Response], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        count = services.metrics.counter
        self._refused = count("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._outcomes = count("edgeproxy_images_total", "Variants of pictures, by what became of them.", ("outcome",))
        self._bytes = count(
            "edgeproxy_image_bytes_total", "Bytes of pictures made into variants, and of those.", ("of",)
        )
        enforced = config.mode == "enforce"
        front = Front(
            self._rules(),
            (config.prefix or "").encode(),
            config.query,
            frozenset(b"." + name.encode() for name in config.extensions) if config.auto else frozenset(),
            hints.ACCEPT_CH if config.hints else b"",
            lambda x, request: self._route(x, request) is not None,
            self._refuse,
            None if enforced else partial(self._outcomes.inc, "observed"),
        )
        self.request = front.request
        self.response = front.response
        studio, limits = config.studio, config.limits
        self._studio = Studio(studio.processes, studio.queue, limits.bounds(), services.metrics, studio.craft())
        craft = repr((studio.craft(), studio.likeness)).encode()
        most = studio.processes + studio.queue
        ways = Ways(
            most, limits.source, studio.likeness, studio.hurry, craft, self._route, self._outcomes.inc, self._weigh
        )
        self._variants = Variants(self._studio, ways, services.clock.monotonic)

    async def start(self) -> None:
        await self._studio.start()

    async def stop(self) -> None:
        await self._studio.stop()

    def uses(self, phase: str) -> bool:
        return phase == "request" or self.config.mode == "enforce"

    def misses(self, beside: Mapping[str, Middleware]) -> str:
        if self.config.sizes == "listed" or any(name in beside for name in _GUARDS):
            return ""
        return f"sizes: any lets everybody have variants made without end; it needs one of {', '.join(_GUARDS)} beside"

    def explain(self, x: Exchange) -> str:
        """The variant a request asks for, or why it is refused; the exchange then asks for it."""
        refused = self.request(x)
        if refused is not None:
            return refused.body.decode().strip() if isinstance(refused.body, bytes) else ""
        return f"{x.facet.decode()} of {x.request.target.decode()}" if x.facet else "no variant"

    def fetch(self, x: Exchange) -> Awaitable[Response | None] | None:
        return self._variants.fetch(x) if x.facet else None

    def _rules(self) -> Rules:
        config = self.config
        listed = config.sizes == "listed"
        return Rules(
            listed=listed,
            widths=tuple(sorted(set(config.widths))),
            qualities=tuple(sorted(set(config.qualities))),
            options=frozenset((COUNTABLE if listed else NAMES) if config.options is None else config.options),
            side=config.limits.side,
            avif_side=config.limits.avif_side,
            formats=config.formats,
            hints=config.hints,
            saving=config.save_data or 0,
            metadata=config.metadata,
        )

    def _route(self, x: Exchange, request: Request) -> Route | None:
        """The route a request for a picture takes, if that is the exchange's own or a configured source."""
        route = self.services.route(request)
        allowed = route is not None and (route.name == x.route.name or route.name in self.config.sources)
        return route if allowed else None

    def _refuse(self, status: int, why: str) -> Response:
        self._refused.inc(self.name)
        headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
        return Response(status, headers, b"%d %b\n" % (status, why.encode()))

    def _weigh(self, original: int, variant: int) -> None:
        self._bytes.inc("original", by=original)
        self._bytes.inc("variant", by=variant)
