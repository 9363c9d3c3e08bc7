"""Compiles a route's stages to flat tuples of bound methods, once per snapshot.

A task for each request costs more than a whole chain called flat, so a stage's hooks are plain functions and run
inside the listener's read; the first ``async def`` request hook splits the tuple, and only what stands behind it
needs a task. A plain request hook may also return an awaitable of its verdict, when it cannot tell at once: that
exchange, and no other, takes a task from there. Each step carries the response hooks of the stages entered so far, in
reverse: whoever answers, the answer passes exactly those.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, Verdict

RequestHook = Callable[[Exchange], Verdict | Awaitable[Verdict]]
StoreHook = Callable[[Exchange, Response], Awaitable[None] | None]
ResponseHook = Callable[[Exchange, Response], None]
LogHook = Callable[[Exchange], None]
Responders = tuple[ResponseHook, ...]


class Step(NamedTuple):
    """One hook and the response hooks of the stages entered by then."""

    hook: RequestHook
    responders: Responders


class Chain(NamedTuple):
    """A route's stages, ready to run.

    ``request`` are all request hooks, ``inline`` those up to the first asynchronous one, as (hook, responders);
    ``shaping`` those of the stages that shape what the cache and the origin are asked for.
    """

    stages: tuple[Middleware, ...]
    request: tuple[Step, ...]
    inline: tuple[tuple[RequestHook, Responders], ...]
    shaping: tuple[RequestHook, ...]
    fetch: tuple[Step, ...]
    store: tuple[tuple[StoreHook, bool], ...]
    responders: Responders
    log: tuple[LogHook, ...]


def overrides(stage: Middleware, phase: str) -> bool:
    """Whether a stage takes part in a phase, by a method of its own or by a function it has put in its place."""
    hook = getattr(stage, phase)
    return getattr(hook, "__func__", hook) is not getattr(Middleware, phase) and stage.uses(phase)


def compile_chain(stages: Sequence[Middleware], log: Sequence[LogHook] = ()) -> Chain:
    """``stages`` in order; ``log`` are the engine's own log hooks, run after the stages'."""
    steps: list[Step] = []
    split: int | None = None
    entered: list[ResponseHook] = []
    entered_kept: list[ResponseHook] = []  # those of them that a kept answer still needs
    fetchers: list[RequestHook] = []
    store: list[tuple[StoreHook, bool]] = []
    shaping: list[RequestHook] = []
    for stage in stages:
        enforced = stage.config.mode == "enforce"
        if enforced and overrides(stage, "response"):
            entered.insert(0, stage.response)
            if not stage.done_when_kept:
                entered_kept.insert(0, stage.response)
        if overrides(stage, "request"):
            if split is None and _is_async(stage.request):
                split = len(steps)
            hook = stage.request if enforced else _observed(stage, stage.request)
            steps.append(Step(hook, tuple(entered_kept if stage.answers_kept else entered)))
            if stage.shapes:
                shaping.append(hook)
        if overrides(stage, "fetch"):
            fetchers.append(stage.fetch if enforced else _observed(stage, stage.fetch))
        if enforced and overrides(stage, "store"):
            store.append((stage.store, _is_async(stage.store)))
    responders = tuple(entered)
    return Chain(
        stages=tuple(stages),
        request=tuple(steps),
        inline=tuple((step.hook, step.responders) for step in steps[:split]),
        shaping=tuple(shaping),
        fetch=tuple(Step(hook, responders) for hook in fetchers),
        store=tuple(store),
        responders=responders,
        log=(*(stage.log for stage in stages if overrides(stage, "log")), *log),
    )


def _is_async(hook: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(hook)


def _observed(stage: Middleware, hook: RequestHook) -> RequestHook:
    """The hook with its answer counted and taken away: what ``mode: observe`` runs."""
    would_answer = stage.services.metrics.observed(stage.name)

    async def observed_later(verdict: Awaitable[Verdict]) -> None:
        if await verdict is not None:
            would_answer()

    def observed(x: Exchange) -> Awaitable[None] | None:
        verdict = hook(x)
        if verdict is None:
            return None
        if not isinstance(verdict, Response):
            return observed_later(verdict)
        would_answer()
        return None

    return observed
