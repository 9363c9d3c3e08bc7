"""Who is told of a change."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Self

import aiohttp
import pytest

from edgeproxy.floods.webhook import QUEUE, Webhook


class Answer:
    def __init__(self, status: int) -> None:
        self.status = status

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Session:
    """Stands in for the wire: answers with these statuses, then with 200."""

    def __init__(self, *outcomes: int | Exception) -> None:
        self.outcomes = list(outcomes)
        self.posts: list[dict[str, Any]] = []

    def post(self, url: str, **options: Any) -> Answer:
        self.posts.append({"url": url, **options})
        outcome = self.outcomes.pop(0) if self.outcomes else 200
        if isinstance(outcome, Exception):
            raise outcome
        return Answer(outcome)


def hook(session: Session, pauses: tuple[float, ...] = (0.0, 0.0)) -> Webhook:
    return Webhook("https://a.example/hook", {"authorization": "Bearer s3cret"}, lambda: session, pauses)  # type: ignore[arg-type, return-value]


async def test_events_are_told_in_order_with_the_secret_and_without_redirects() -> None:
    session = Session()
    webhook = hook(session)
    webhook.send({"scope": "node", "n": 1})
    webhook.send({"scope": "node", "n": 2})
    await webhook.stop()
    assert [post["json"]["n"] for post in session.posts] == [1, 2]
    assert session.posts[0]["headers"] == {"authorization": "Bearer s3cret"}
    assert session.posts[0]["allow_redirects"] is False
    assert session.posts[0]["timeout"].total == 5.0


async def test_what_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    session = Session(500, aiohttp.ClientConnectionError("Bearer s3cret"))
    webhook = hook(session)
    webhook.send({"scope": "node"})
    await webhook.stop()
    assert len(session.posts) == 3
    assert caplog.text == ""


async def test_what_fails_every_time_is_given_up_and_said_without_the_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = Session(500, TimeoutError(), aiohttp.ClientConnectionError("Bearer s3cret"))
    webhook = hook(session)
    webhook.send({"scope": "node"})
    webhook.send({"scope": "route:a"})
    await webhook.stop()
    assert [post["json"]["scope"] for post in session.posts] == ["node"] * 3 + ["route:a"]
    assert "did not take a change of node: ClientConnectionError" in caplog.text
    assert "s3cret" not in caplog.text + repr(webhook)


async def test_a_service_that_never_answers_holds_no_more_than_a_queue(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    webhook = hook(Session(*[500] * 1000), (60.0,))
    webhook.send({"scope": "node"})
    await asyncio.sleep(0)
    for _ in range(QUEUE + 5):
        webhook.send({"scope": "node"})
    assert caplog.text.count("is not told") == 5
    await webhook.stop(0.01)
