"""The system's resolver: its hosts file, which every system has, and what it says of names that are none."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edgeproxy.bots.resolver import THREADS, SystemResolver


async def test_localhost_there_and_back() -> None:
    resolver = SystemResolver()
    name = await resolver.name_of("127.0.0.1")
    assert name is not None
    assert "127.0.0.1" in await resolver.addresses_of(name)


async def test_addresses_are_written_in_one_way() -> None:
    resolver = SystemResolver()
    assert await resolver.addresses_of("::0:1") == {"::1"}
    assert await resolver.addresses_of("::ffff:127.0.0.1") == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["x" * 300 + ".example", "a..b", "\udcff.example", "a\0b"])
async def test_names_that_cannot_be_are_none_or_an_error_that_is_told_of(name: str) -> None:
    try:
        assert await SystemResolver().addresses_of(name) == frozenset()
    except (OSError, ValueError):
        pass


async def test_questions_without_an_answer_keep_their_places_and_hold_up_no_one_else() -> None:
    resolver, release, begun = SystemResolver(), threading.Event(), []

    def slow() -> str:
        begun.append(threading.current_thread())
        release.wait(10)
        return "late"

    asked = [asyncio.create_task(resolver._ask(slow)) for _ in range(THREADS + 2)]
    for task in asked[:THREADS]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(task, 0.02)
    assert len(begun) == THREADS
    assert all(thread.daemon for thread in begun)
    assert not any(task.done() for task in asked[THREADS:])
    release.set()
    assert await asyncio.gather(*asked[THREADS:]) == ["late", "late"]
