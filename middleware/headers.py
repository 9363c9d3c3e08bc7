"""Edits header fields on the way in and out."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from edgeproxy.config.fields import EditableField, FieldValue
from edgeproxy.config.values import Many
from edgeproxy.http.headers import add
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.pipeline.template import EXCHANGE, Renderer, compile_template


def _template(text: str) -> str:
    compile_template(text, EXCHANGE)
    return text


Value = Annotated[FieldValue, AfterValidator(_template)]


class Edits(BaseModel):
    """Edits to one message's fields. `remove` goes first, then `set`, then `add`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    set: dict[EditableField, Value] = {}
    """Fields that get this value in place of any other."""

    add: dict[EditableField, Annotated[tuple[Value, ...], Many]] = {}
    """Fields that get one or more values beside what they have."""

    remove: Annotated[tuple[EditableField, ...], Many] = ()
    """Fields that are taken out."""


class Headers(Middleware):
    """Set, add and remove fields of requests and of answers.

    Requests are edited before the cache looks them up, so what is taken out (a cookie, say) no longer keeps answers
    apart. Answers are edited for each client, the stored copy is not. Values may hold `{client.ip}`, `{request.id}`,
    `{host}`, `{path}`, `{scheme}`, `{route}`, of the TLS hello `{client.ja4}`, and what `bot_check` found: `{bot}`,
    `{bot.agent}` (if it was verified), `{bot.score}`, `{bot.shape}`; `{{` is a brace. The fields of the connection
    and the framing, Host and Content-Length are not to be edited.
    """

    name = "headers"
    shapes = True

    class Config(MiddlewareConfig):
        request: Edits = Edits()
        """Edits to the request, as the cache and the origin see it."""

        response: Edits = Edits()
        """Edits to every answer of this route, errors of the proxy's own included."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._request = _Compiled(config.request)
        self._response = _Compiled(config.response)

    def request(self, x: Exchange) -> None:
        edits, headers = self._request, x.request.headers
        for name in edits.remove:
            headers.pop(name, None)
        for name, render in edits.set:
            headers[name] = render(x)
        for name, render in edits.add:
            add(headers, name, render(x))

    def response(self, x: Exchange, response: Response) -> None:
        edits = self._response
        for name in edits.remove:
            if response.get(name) is not None:
                response.drop(name)
        for name, render in edits.set:
            response.set(name, render(x))
        for name, render in edits.add:
            response.add(name, render(x))


class _Compiled:
    """Edits, ready to apply."""

    __slots__ = ("add", "remove", "set")

    def __init__(self, edits: Edits) -> None:
        self.remove: tuple[bytes, ...] = tuple(name.encode() for name in edits.remove)
        self.set: tuple[tuple[bytes, Renderer[Exchange]], ...] = tuple(
            (name.encode(), compile_template(value, EXCHANGE)) for name, value in edits.set.items()
        )
        self.add: tuple[tuple[bytes, Renderer[Exchange]], ...] = tuple(
            (name.encode(), compile_template(value, EXCHANGE)) for name, values in edits.add.items() for value in values
        )
