"""Takes an exchange through its chain: inline as far as it goes, the rest in one task.

A stage that answers at once (a memory hit, a limit, a redirect) is answered inside :func:`serve`, which the listener
calls from its read callback: no task, no coroutine.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

from edgeproxy.errors import EdgeError, Kind, meaning
from edgeproxy.http.grpc import is_grpc
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import NO_FIELDS, Response
from edgeproxy.pipeline import calls
from edgeproxy.pipeline.chain import Chain, RequestHook, Responders, Step
from edgeproxy.pipeline.errand import Asked, Onlooker, Prompt
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.interim import Interims
from edgeproxy.pipeline.middleware import Verdict

logger = logging.getLogger("edgeproxy")


class Writer(Protocol):
    """What a listener lends an exchange to answer on."""

    def send(self, x: Exchange, response: Response) -> None:
        """Write a whole answer, whose body is bytes."""

    async def stream(self, x: Exchange, response: Response) -> None:
        """Write an answer whose body is a Body, as it comes. Raises EdgeError if either side broke off."""

    def interim(self, x: Exchange, status: int, fields: Headers) -> None:
        """Write an interim answer (RFC 9110 §15.2), unless ``x`` is not being answered now, or its client takes none:
        which ones come here, with which fields, :mod:`edgeproxy.pipeline.interim` sees to."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the rest of the exchange in a task that is cancelled when the client leaves."""


def serve(x: Exchange, writer: Writer, *, direct: bool = False) -> Errand | None:
    """Begin an exchange whose route is known. ``direct``: no task is needed to wait for the origin; the listener gives
    up what is returned when the client leaves."""
    chain = x.route.chain
    responders: Responders = ()
    try:
        for hook, responders in chain.inline:
            verdict = hook(x)
            if verdict is not None:
                if isinstance(verdict, Response):
                    _answer(x, writer, verdict, responders)
                else:
                    writer.spawn(_continue(x, writer, hook, verdict))
                return None
        origin, detour = x.route.origin, x.lookup
        if (
            direct
            and isinstance(origin, Prompt)
            and (detour is None or isinstance(detour, Onlooker))
            and (x.request.method == b"GET" and x.request.body is None)
            and len(chain.inline) == len(chain.request)
        ):
            responders = chain.responders
            x.interim = Interims(x, writer.interim).pass_on
            errand = Errand(x, writer, detour)
            errand.begin(origin)
            return errand
    except Exception as error:
        x.interim = None
        _answer(x, writer, failure(x, error), responders)
        return None
    writer.spawn(_continue(x, writer))
    return None


class Errand:
    """A fetch that no task waits for (errand): its answer is finished where it comes in, and what has to wait for more
    goes on in a task."""

    __slots__ = ("_asked", "_onlooker", "_over", "_writer", "_x")

    def __init__(self, x: Exchange, writer: Writer, onlooker: Onlooker | None) -> None:
        self._x = x
        self._writer = writer
        self._onlooker = onlooker
        self._asked: Asked | None = None
        self._over = False  # the answer is here, or a task waits for it, or nobody wants it

    def begin(self, origin: Prompt) -> None:
        """The fetch phase, then the origin. Raises EdgeError, and what a stage raises."""
        x = self._x
        if self._onlooker is not None:
            self._onlooker.before(x)
        for number, step in enumerate(x.route.chain.fetch, 1):
            verdict = step.hook(x)
            if verdict is not None:
                self._take(verdict if isinstance(verdict, Response) else fetch(x, number, verdict))
                return
        asked = origin.begin(x, self._take)
        if not isinstance(asked, Asked):
            self._take(asked)
        elif not self._over:
            self._asked = asked

    def give_up(self) -> None:
        """The client has left."""
        if not self._over:
            self._over = True
            asked, self._asked = self._asked, None
            if asked is not None:
                asked.give_up()
            self._x.error = Kind.CLIENT_GONE.value
            ended(self._x)

    def _take(self, outcome: Response | Coroutine[Any, Any, Response]) -> None:
        self._over = True
        self._asked = None  # which knows this one: who waits for the collector fills the memory meanwhile
        x, writer, onlooker = self._x, self._writer, self._onlooker
        if not isinstance(outcome, Response):
            writer.spawn(_continue(x, writer, fetched=_watched(x, outcome, onlooker)))
            return
        try:
            if onlooker is not None:
                onlooker.after(x, outcome)
        except Exception as error:
            outcome = failure(x, error)
        x.interim = None
        try:
            _answer(x, writer, outcome, x.route.chain.responders)
        except Exception as error:  # not the origin's connection's, on whose read this runs
            report(error)

    def __repr__(self) -> str:
        return f"<Errand of {self._x!r}{', over' if self._over else ''}>"


async def _watched(x: Exchange, fetched: Coroutine[Any, Any, Response], onlooker: Onlooker | None) -> Response:
    response = await fetched
    if onlooker is not None:
        onlooker.after(x, response)
    return response


def refuse(x: Exchange, error: EdgeError, writer: Writer) -> None:
    """Answer what is no request, past every stage but the log."""
    x.error = error.kind.value
    x.response = response = error_response(error)
    x.status = response.status
    writer.send(x, response)
    ended(x)


def _answer(x: Exchange, writer: Writer, response: Response, responders: Responders) -> None:
    finish(x, response, responders)
    if type(response.body) is bytes:
        writer.send(x, response)
        ended(x)
    else:
        writer.spawn(_stream(x, writer, response))


async def _continue(
    x: Exchange,
    writer: Writer,
    hook: RequestHook | None = None,
    verdict: Verdict | Awaitable[Verdict] = None,
    fetched: Awaitable[Response] | None = None,
) -> None:
    """Everything behind the inline stages, or behind the one whose ``hook`` gave a ``verdict`` to wait for:
    asynchronous stages, the cache's miss path, the origin; or what is ``fetched`` already."""
    chain = x.route.chain
    responders = chain.responders
    if x.interim is None:
        x.interim = Interims(x, writer.interim).pass_on
    try:
        response: Response | None = None
        for step in _behind(chain, hook):
            responders = step.responders
            if step.hook is not hook:
                verdict = step.hook(x)
            response = verdict if verdict is None or isinstance(verdict, Response) else await verdict
            if response is not None:
                break
        else:
            responders = chain.responders
            lookup = x.lookup
            if fetched is None:
                fetched = fetch(x) if lookup is None else lookup.fetch(x, fetch, store)
            response = await fetched
    except EdgeError as error:
        response = failure(x, error)
    except Exception as error:
        response = failure(x, error)
    except BaseException:  # the client has left: there is nobody to answer, but stages hold what they must give back
        x.error = Kind.CLIENT_GONE.value
        ended(x)
        raise
    x.interim = None
    finish(x, response, responders)
    await _stream(x, writer, response)


def _behind(chain: Chain, hook: RequestHook | None) -> tuple[Step, ...]:
    """The steps that are left: from the one with this hook on, or from the first asynchronous one."""
    if hook is None:
        return chain.request[len(chain.inline) :]
    at = 0
    while chain.request[at].hook is not hook:
        at += 1
    return chain.request[at:]


async def fetch(x: Exchange, begun: int = 0, verdict: Verdict | Awaitable[Verdict] = None) -> Response:
    """The fetch phase, then the origin. ``begun`` of its hooks have been called, the last of which gave the ``verdict``
    to wait for."""
    steps = x.route.chain.fetch
    while True:
        response = verdict if verdict is None or isinstance(verdict, Response) else await verdict
        if response is not None:
            return response
        if begun == len(steps):
            return await x.route.origin.fetch(x)
        verdict = steps[begun].hook(x)
        begun += 1


async def store(x: Exchange, response: Response) -> None:
    """The store phase: what the stages change here is changed in the kept copy."""
    for hook, awaited in x.route.chain.store:
        outcome = hook(x, response)
        if awaited and outcome is not None:
            await outcome


def finish(x: Exchange, response: Response, responders: Responders) -> None:
    """The response phase. A hook that fails is left out of this answer, and said in the log."""
    if x.verdict and response.shared is NO_FIELDS:  # what is answered from a stored entry says it already
        response.add(b"cache-status", b"edgeproxy; " + x.verdict)
    for hook in responders:
        try:
            hook(x, response)
        except Exception as error:
            report(error)
    if response.status >= 300 and x.request.method == b"POST" and (x.error or not x.endpoint):
        _refuse_call(x, response)
    x.response = response
    x.status = response.status
    if response.filters is not None and type(response.body) is bytes:
        body = response.body
        for feed in response.filters:
            body = feed(body) + feed(b"")
        response.body = body
        response.filters = None


def _refuse_call(x: Exchange, response: Response) -> None:
    """What is said here, not by an origin, is said to gRPC in its own words."""
    if is_grpc(x.request.headers):
        calls.refuse(x, response)


async def _stream(x: Exchange, writer: Writer, response: Response) -> None:
    try:
        if type(response.body) is bytes:
            writer.send(x, response)
        else:
            await writer.stream(x, response)
    except EdgeError as error:
        x.error = error.kind.value
    except BaseException:
        x.error = Kind.CLIENT_GONE.value
        raise
    finally:
        if x.request.method == b"POST":
            calls.note(x, response)
        ended(x)


def ended(x: Exchange) -> None:
    """The log phase."""
    for hook in x.route.chain.log:
        try:
            hook(x)
        except Exception as error:
            report(error)


def failure(x: Exchange, error: Exception) -> Response:
    """The answer for an error, as the table of errors says."""
    if not isinstance(error, EdgeError):
        report(error)
        error = EdgeError(Kind.INTERNAL, "edge")
    x.error = error.kind.value
    return error_response(error)


def error_response(error: EdgeError) -> Response:
    means = meaning(error.kind)
    headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
    if means.token is not None:
        headers[b"proxy-status"] = b"edgeproxy; error=" + means.token.encode()
    if error.retry_after:
        headers[b"retry-after"] = b"%d" % error.retry_after
    detail = f" {error.detail}" if error.source == "client" and error.detail else ""
    return Response(means.status, headers, f"{means.status} {means.text}{detail}\n".encode())


def report(error: BaseException) -> None:
    """One line for a fault of our own, naming where it happened; the whole traceback at debug level."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    logger.error("internal error: %s: %s at %s", type(error).__name__, error, where)
    logger.debug("internal error", exc_info=error)
