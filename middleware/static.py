"""Answers that come from the configuration: maintenance, robots.txt, a file or two."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgeproxy.config.fields import EditableField, FieldValue
from edgeproxy.config.units import Cidr, Duration
from edgeproxy.config.values import FieldName, File, Many, Path
from edgeproxy.config.watch import Watch
from edgeproxy.http.addresses import AddressSet
from edgeproxy.http.message import Response
from edgeproxy.identity.files import KeptBytes
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.routing.static import Answer, Answers

LARGEST = 1_000_000  # bytes of a body
_EMPTY = frozenset((204, 304))


class AnswerSettings(BaseModel):
    """One answer, and which requests get it. All conditions given must hold; none given is everything."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    path: Annotated[tuple[Path, ...], Many] = ()
    """Whole paths: `/robots.txt`."""

    prefix: Annotated[tuple[Path, ...], Many] = ()
    """What the path begins with: `/shop/` is also `/shop/cart`, `/shop` is also `/shops`. One of `path` and `prefix`
    must hold."""

    header: dict[FieldName, str | bool] = Field({}, max_length=8)
    """Fields and their whole value; `true` for any value, `false` for a field that is not there."""

    except_: Annotated[tuple[Cidr, ...], Many] = Field(default=(), alias="except")
    """Addresses and blocks that the answer is not for, by the client's address: `[10.0.0.0/8]` gets through to a site
    that is closed."""

    status: int = Field(default=200, ge=200, le=599)
    """200 to 599. With 200, other methods than GET and HEAD get 405, and the body has an `ETag`."""

    body: str | None = Field(default=None, max_length=LARGEST)
    """The content, as text."""

    file: File | None = None
    """The file that holds it, up to 1 MB. It is read again when it changes."""

    type: FieldValue | None = Field(default=None, min_length=1)
    """The Content-Type. By default what the file's name says, or `text/plain; charset=utf-8`."""

    retry_after: Duration | None = Field(default=None, ge=1, le=31_536_000)
    """When clients may come back, for 503 and 429: 1s to 365d."""

    fields: dict[EditableField, FieldValue] = Field({}, max_length=32)
    """Further fields. From 400 on `cache-control` is `no-store` unless it stands here."""

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.body is not None and self.file is not None:
            raise ValueError("an answer has body or file, not both")
        if self.status in _EMPTY and (self.body or self.file):
            raise ValueError(f"an answer with status {self.status} has no content")
        return self


class Static(Middleware):
    """Answer from the configuration: a site that is closed (503 for all but a few addresses), robots.txt, a file or
    two. The first answer that is for a request counts; the others go on.
    """

    name = "static"

    class Config(MiddlewareConfig):
        answers: tuple[AnswerSettings, ...] = Field(min_length=1, max_length=64)
        """1 to 64, asked in order."""

    request: Callable[[Exchange], Response | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._files: list[KeptBytes[bytes]] = []
        answers = [self._answer(settings) for settings in config.answers]
        self.request = Answers(answers, partial(refused.inc, self.name)).request

    async def start(self) -> None:
        for file in self._files:
            await file.start()

    async def stop(self) -> None:
        for file in self._files:
            await file.stop()

    def _answer(self, settings: AnswerSettings) -> Answer:
        answer = Answer(
            settings.status,
            _fields(settings),
            paths=frozenset(path.encode() for path in settings.path),
            prefixes=tuple(prefix.encode() for prefix in settings.prefix),
            fields=tuple(
                (name.encode(), wanted if isinstance(wanted, bool) else wanted.encode())
                for name, wanted in settings.header.items()
            ),
            past=AddressSet(settings.except_) if settings.except_ else None,
        )

        def fill(body: bytes) -> None:
            answer.fill(body, b'"%b"' % sha256(body).hexdigest()[:20].encode() if settings.status == 200 else None)

        if settings.file is None:
            fill((settings.body or "").encode())
        else:
            watch = Watch([settings.file])  # before it is read: what is written meanwhile is a change
            self._files.append(KeptBytes(settings.file, bytes, fill, watch.run, LARGEST))
        return answer


def _fields(settings: AnswerSettings) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    if settings.status not in _EMPTY:
        guessed = mimetypes.guess_type(settings.file)[0] if settings.file else None
        fields[b"content-type"] = (settings.type or guessed or "text/plain; charset=utf-8").encode()
    if settings.status >= 400:
        fields[b"cache-control"] = b"no-store"
    if settings.retry_after is not None:
        fields[b"retry-after"] = b"%d" % settings.retry_after
    return fields | {name.encode(): value.encode() for name, value in settings.fields.items()}
