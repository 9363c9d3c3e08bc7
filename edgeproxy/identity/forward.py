"""Asks an HTTP service whether an exchange may pass."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from edgeproxy.http.headers import Headers, add, disown
from edgeproxy.http.message import Request, Response
from edgeproxy.identity.refusals import Refusals
from edgeproxy.identity.remembered import Remembered
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.later import Later

if TYPE_CHECKING:
    import aiohttp

REMEMBERED: Final = 65_536
BODY_MOST: Final = 64 * 1024  # bytes of a refusal's body

# What comes with a refusal's body, whatever else is chosen.
_OF_THE_BODY: Final = frozenset((b"content-type", b"content-encoding", b"content-language"))

_NONE: Final = b"\x01"  # in place of a field that is not there; no field holds this byte, or the one between fields
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

logger = logging.getLogger("edgeproxy")

Verdict = Response | None
Fields = tuple[tuple[bytes, bytes], ...]
Session = Callable[[], "aiohttp.ClientSession"]


class Asking(NamedTuple):
    """What the service is asked and what is made of its answer.

    ``send``: the request's fields it gets; ``copy``: its answer's fields that the origin gets; ``answer``: those of a
    refusal that the client gets; all in lower case. ``timeout`` in seconds; ``allow``: whether exchanges pass while it
    is away; ``most``: questions at once. ``remember``: seconds for which a yes holds, 0 for not at all; ``by_who``: for
    whatever else the same credentials ask for.
    """

    url: str
    send: tuple[bytes, ...]
    copy: tuple[bytes, ...]
    answer: frozenset[bytes]
    timeout: float
    allow: bool
    most: int
    remember: float
    by_who: bool


class AwayError(Exception):
    """The service gave no answer that could be used."""


class ForwardCheck:
    """Lets an exchange pass if the service answers 2xx; ``count`` is told ``allowed``, ``refused`` or ``away``."""

    def __init__(
        self,
        asking: Asking,
        session: Session,
        refusals: Refusals,
        count: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        self._asking = asking
        self._session = session
        self._refusals = refusals
        self._count = count
        self._now = now
        self._owned = frozenset(asking.copy)
        self._remember = asking.remember > 0
        self._remembered: Remembered[Fields] = Remembered(REMEMBERED)
        self._under_way = 0
        self._away = False

    def check(self, x: Exchange) -> Response | Awaitable[Verdict] | None:
        """Let the exchange pass, or give the service's refusal; at once where a yes is remembered."""
        if self._owned:
            disown(x.request.headers, self._owned)
        digest = b""
        if self._remember:
            question = self._question(x)
            if question is not None:
                digest = self._remembered.digest(question)
                fields = self._remembered.get(digest, x.started)
                if fields is not None:
                    _admit(x, fields)
                    return None
        if self._under_way >= self._asking.most:
            return self._refusals.later(503, "Too many requests are being checked.", 1.0)
        return Later(partial(self._ask, x, digest))

    def _question(self, x: Exchange) -> bytes | None:
        """What a remembered yes is known by; None if it is for no one in particular."""
        request = x.request
        headers = request.headers
        parts = [headers.get(name, _NONE) for name in self._asking.send]
        if not self._asking.by_who:
            parts += (request.method, request.scheme, request.authority, request.target, x.client.encode())
        elif parts.count(_NONE) == len(parts):
            return None
        return b"\0".join(parts)

    async def _ask(self, x: Exchange, digest: bytes) -> Verdict:
        asking = self._asking
        try:
            fields = question(x, asking.send)
        except ValueError:
            return self._refusals.refuse(400, "The request holds what cannot be passed on.")
        if self._under_way >= asking.most:  # others may have come in between
            return self._refusals.later(503, "Too many requests are being checked.", 1.0)
        self._under_way += 1
        try:
            async with asyncio.timeout(asking.timeout):
                status, told, body = await ask(self._session(), asking.url, fields)
        except Exception as error:  # noqa: BLE001 -- whatever the service does, it is away
            return self._without(error)
        finally:
            self._under_way -= 1
        if self._away:
            self._away = False
            logger.info("forward_auth: %s answers again", asking.url)
        if not 200 <= status < 300:
            self._count("refused")
            return self._refusal(status, told, body)
        self._count("allowed")
        copied = tuple((name, told[name]) for name in asking.copy if told.get(name))
        _admit(x, copied)
        if digest:
            self._remembered.put(digest, copied, self._now() + asking.remember)
        return None

    def _without(self, error: Exception) -> Verdict:
        """What becomes of an exchange while the service is away; said in the log once."""
        self._count("away")
        if not self._away:
            self._away = True
            lot = "let pass" if self._asking.allow else "refused"
            said = str(error) or "no answer in time"
            logger.warning(
                "forward_auth: %s: %s: %s; requests are %s", self._asking.url, type(error).__name__, said, lot
            )
        return None if self._asking.allow else self._refusals.later(503, "Who may pass cannot be checked now.", 1.0)

    def _refusal(self, status: int, told: Headers, body: bytes | None) -> Response:
        response = self._refusals.refuse(status, "Not allowed.")
        own = response.own
        for name, value in told.items():
            if name in self._asking.answer or (body and name in _OF_THE_BODY):
                own[name] = value
        own[b"cache-control"] = b"no-store"
        if body:
            response.body = body
        return response

    def __repr__(self) -> str:
        return f"<ForwardCheck {self._asking.url} {self._under_way} under way, {self._remembered!r}>"


def question(x: Exchange, send: tuple[bytes, ...]) -> dict[str, str]:
    """The fields the service gets. Raises ValueError where one is not UTF-8 or has control characters: the service
    would decide about another credential than the origin sees, or not be asked at all."""
    request: Request = x.request
    fields = {
        "x-forwarded-method": request.method.decode(),
        "x-forwarded-proto": request.scheme.decode(),
        "x-forwarded-host": request.authority.decode(),
        "x-forwarded-uri": request.target.decode(),
    }
    if x.client:
        fields["x-forwarded-for"] = x.client
    if x.id:
        fields["x-request-id"] = x.id.decode()
    for name in send:
        value = request.headers.get(name)
        if value is not None:
            if _CONTROL.search(value) is not None:
                raise ValueError("a control character")
            fields[name.decode()] = value.decode()
    return fields


async def ask(session: aiohttp.ClientSession, url: str, fields: dict[str, str]) -> tuple[int, Headers, bytes | None]:
    """The service's status, fields, and the body of a refusal, None if it is too long. Raises AwayError where the
    answer is no verdict, and what aiohttp raises."""
    async with session.get(url, headers=fields, allow_redirects=False) as answer:
        status = answer.status
        if not 200 <= status < 500 or status == 304:  # 5xx is a fault of the service's, 304 was not asked for
            raise AwayError(f"it answered {status}")
        told: Headers = {}
        for name, value in answer.raw_headers:
            if _CONTROL.search(value) is not None:
                raise AwayError("it sent a field with control characters")
            add(told, name.lower(), value)
        if status < 300:
            return status, told, b""
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > BODY_MOST:
                return status, told, None
        return status, told, bytes(body)


def _admit(x: Exchange, fields: Fields) -> None:
    for name, value in fields:
        x.request.headers[name] = value
    if fields:
        x.identity = fields[0][1].decode("utf-8", "replace")
