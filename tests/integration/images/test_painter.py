"""A painter process, asked and ended; what it says is not believed unless it makes sense."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from edgeproxy.images.painter import Answer, Painter
from edgeproxy.images.plan import Bounds, Craft, Picture, Plan
from tests.support import pictures

SMALL = pictures.encode(pictures.photo(60, 40))
SAID = {"content_type": "image/webp", "width": 3, "height": 2, "unhurried": True, "cpu": 0.25}


def test_an_answer_is_a_picture_or_a_reason() -> None:
    answer = Answer(SAID, b"body")
    assert answer.picture == Picture(b"body", b"image/webp", 3, 2, unhurried=True)
    assert (answer.cpu, answer.reason) == (0.25, "")
    refused = Answer({"reason": "damaged", "cpu": 1}, b"")
    assert (refused.picture, refused.reason) == (None, "damaged")


@pytest.mark.parametrize(
    "said",
    [
        [],
        None,
        "text",
        {},
        {"cpu": 1},
        {"cpu": "x", "reason": "damaged"},
        {"cpu": 1, "reason": "<script>"},
        SAID | {"content_type": "text/html"},
        SAID | {"content_type": ["image/webp"]},
        SAID | {"width": "wide"},
        SAID | {"height": None},
    ],
    ids=str,
)
def test_what_no_painter_of_ours_says_is_not_believed(said: Any) -> None:
    with pytest.raises(ValueError):
        Answer(said, b"body")


async def test_it_is_started_asked_and_ended() -> None:
    painter = await Painter.start(600_000_000, 3)
    assert painter.runs
    answer = await painter.ask(SMALL, Plan(width=30), Bounds(), Craft(), 10)
    assert answer.picture is not None
    assert answer.picture.width == 30
    assert repr(painter) == f"<Painter {painter.pid} runs>"
    await painter.end()
    assert not painter.runs
    await painter.end()


async def test_it_is_ended_by_who_is_cancelled_meanwhile_all_the_same() -> None:
    painter = await Painter.start(600_000_000)
    ending = asyncio.create_task(painter.end())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait((ending,))
    assert not painter.runs


async def test_a_start_without_enough_memory_fails_and_leaves_nothing() -> None:
    before = time.monotonic()
    with pytest.raises((EOFError, OSError)):
        await Painter.start(20_000_000)
    assert time.monotonic() - before < 5
