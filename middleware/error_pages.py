"""Gives errors a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from edgeproxy.config.values import File, Many
from edgeproxy.config.watch import Watch
from edgeproxy.http.message import Response
from edgeproxy.identity.files import Kept
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.routing import error_pages as core

LARGEST = 1_000_000  # bytes of a page


def _status(value: Any) -> str:
    text = str(value).lower()
    if text in ("4xx", "5xx") or (text.isascii() and text.isdigit() and len(text) == 3 and "400" <= text <= "599"):
        return text
    raise ValueError(f"{value!r} is no status of an error; write 404, 4xx or 5xx")


class PageSettings(BaseModel):
    """One page, and the errors it is for."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    status: Annotated[tuple[Annotated[str, BeforeValidator(_status)], ...], Many] = Field(min_length=1, max_length=64)
    """Statuses: 404, `5xx`, or a list of both. A status by itself goes before its class, and then the first page."""

    file: File | None = None
    """The page: HTML, UTF-8, up to 1 MB. `{status}`, `{reason}` and `{request.id}` in it are filled in, any other brace
    stays as it is. It is read again when it changes."""

    html: str | None = Field(default=None, max_length=LARGEST)
    """The page's text, in place of a file."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.html is None):
            raise ValueError("a page has either file or html")
        return self


class ErrorPages(Middleware):
    """Answer errors with a page: those of the edge itself (no origin, a refusal, a fault), and on demand origins'.

    HTML is for who names it in `Accept`; who names JSON gets `application/problem+json` (RFC 9457), all others a line
    of text. Status and other fields stay, and what the cache keeps is not touched. Challenges, answers of `static` and
    what other stages have to say beyond a refusal stay as they are.
    """

    name = "error_pages"

    class Config(MiddlewareConfig):
        pages: tuple[PageSettings, ...] = Field(min_length=1, max_length=64)
        """1 to 64 pages."""

        origin: bool = False
        """Whether errors that origins answer get a page too, with these statuses."""

    response: Callable[[Exchange, Response], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._files: list[Kept[str]] = []
        by_word: dict[str, core.Page] = {}
        for settings in config.pages:
            page = self._page(settings)
            for word in settings.status:
                by_word.setdefault(word, page)
        pages = {status: by_word.get(str(status)) or by_word.get(f"{status // 100}xx") for status in range(400, 600)}
        known = {status: page for status, page in pages.items() if page is not None}
        self.response = core.ErrorPages(known, origin=config.origin).response

    async def start(self) -> None:
        for file in self._files:
            await file.start()

    async def stop(self) -> None:
        for file in self._files:
            await file.stop()

    def _page(self, settings: PageSettings) -> core.Page:
        page = core.Page(settings.html or "")
        if settings.file is not None:
            watch = Watch([settings.file])  # before it is read: what is written meanwhile is a change
            self._files.append(Kept(settings.file, str, page.fill, watch.run, LARGEST))
        return page
