"""Rules on their way through an exchange: heads at once where the models allow, bodies and answers held meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from edgeproxy.http.body import Body
from edgeproxy.http.headers import disown, members
from edgeproxy.http.message import Request, Response
from edgeproxy.inference.holding import LATE, TOO_LONG, Held, Holding
from edgeproxy.inference.rules import PACKED, UNREADABLE, Rule
from edgeproxy.inference.version import Outcome
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Verdict
from edgeproxy.tensors import Tensors


class Heads:
    """Rules on the heads of requests."""

    def __init__(self, rules: Sequence[Rule], owned: frozenset[bytes]) -> None:
        """``owned``: fields that clients may not set."""
        self._rules = tuple(rules)
        self._owned = owned

    def request(self, x: Exchange) -> Verdict | Awaitable[Verdict]:
        """A stage's hook."""
        if self._owned:
            disown(x.request.headers, self._owned)
        return self._from(x, 0)

    def _from(self, x: Exchange, first: int) -> Verdict | Awaitable[Verdict]:
        rules = self._rules
        for place in range(first, len(rules)):
            rule = rules[place]
            if not rule.concerns(x.request):
                continue
            tensors = rule.inputs.of_head(x.request)
            asked = rule.ask(tensors)
            if asked is not None and not isinstance(asked, Outcome):
                return self._later(x, place, tensors, asked)
            verdict = rule.judge(x, tensors, asked)
            if verdict is not None:
                return verdict
        return None

    async def _later(self, x: Exchange, place: int, tensors: Tensors, asked: Awaitable[Outcome]) -> Verdict:
        rule = self._rules[place]
        verdict = rule.judge(x, tensors, await rule.answer(asked))
        if verdict is None:
            verdict = self._from(x, place + 1)
        return verdict if verdict is None or isinstance(verdict, Response) else await verdict


class Bodies:
    """Rules on the bodies of requests."""

    def __init__(self, rules: Sequence[Rule], holding: Holding) -> None:
        self._rules = tuple(rules)
        self._holding = holding
        self._held: dict[Exchange, Held] = {}

    def fetch(self, x: Exchange) -> Awaitable[Verdict] | None:
        """A stage's hook."""
        request, body = x.request, x.request.body
        if body is None:
            return None
        told = request.headers.get(b"content-type")
        rules = [rule for rule in self._rules if rule.concerns(request) and rule.takes(told)]
        return self._look(x, rules, body) if rules else None

    def release(self, x: Exchange) -> None:
        """The exchange is over."""
        held = self._held.pop(x, None)
        if held is not None:
            self._holding.release(held)

    async def _look(self, x: Exchange, rules: Sequence[Rule], body: Body) -> Verdict:
        request, why = x.request, PACKED
        held = Held(body)
        if not is_packed(request.headers.get(b"content-encoding")):
            held, why = await self._holding.hold(body, max([rule.size for rule in rules]))
            request.body = self._held[x] = held
        for rule in rules:
            if why or held.size > rule.size:
                verdict: Verdict | Awaitable[Verdict] = rule.missing(why or TOO_LONG)
            else:
                tensors, reason = await understand(rule, request, held.content())
                outcome = None if reason else await rule.answer(rule.ask(tensors))
                verdict = rule.missing(reason) if reason else rule.judge(x, tensors, outcome)
            if verdict is not None:
                return verdict if isinstance(verdict, Response) else await verdict
        return None


class Answers:
    """Rules on answers that are about to be kept."""

    def __init__(self, rules: Sequence[Rule], holding: Holding) -> None:
        self._rules = tuple(rules)
        self._holding = holding

    async def store(self, x: Exchange, response: Response) -> None:
        """A stage's hook."""
        if response.status != 200 or response.filters is not None:
            return
        told = response.get(b"content-type")
        rules = [rule for rule in self._rules if rule.concerns(x.request) and rule.takes(told)]
        if not rules:
            return
        if is_packed(response.get(b"content-encoding")):
            for rule in rules:
                rule.missing(PACKED)
            return
        if isinstance(response.body, bytes):
            await self._look(x.request, response, rules, response.body, "")
            return
        largest, longest = max([rule.size for rule in rules]), max([rule.wait for rule in rules])
        held, why = await self._holding.hold(response.body, largest, longest)
        try:
            content = b"" if why else held.content()
            response.body = held if why else content
            await self._look(x.request, response, rules, content, why)
        finally:
            self._holding.release(held)

    async def _look(
        self, request: Request, response: Response, rules: Sequence[Rule], content: bytes, why: str
    ) -> None:
        for rule in rules:
            if why or len(content) > rule.size:
                rule.missing(why or TOO_LONG)
                continue
            tensors, reason = await understand(rule, request, content)
            if reason:
                rule.missing(reason)
            else:
                rule.mark(response, tensors, await rule.answer(rule.ask(tensors)))


async def understand(rule: Rule, request: Request, content: bytes) -> tuple[Tensors, str]:
    """What a rule's model is asked about a body, and why that cannot be said, "" if it can."""
    try:
        async with asyncio.timeout(rule.wait):
            return await rule.inputs.of_content(request, content), ""
    except TimeoutError:
        return {}, LATE
    except ValueError:
        return {}, UNREADABLE


def is_packed(coding: bytes | None) -> bool:
    """Whether a content coding is more than none at all."""
    return coding is not None and any(name != b"identity" for name in members(coding.lower()))
