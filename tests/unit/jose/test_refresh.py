"""Key sets renewed in the background; the loaders are tried on a real issuer in tests/integration."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.jose.keys import KeysError, from_secret
from edgeproxy.jose.refresh import FreshKeys, read_file
from tests.support.tokens import jwk


class Shelf:
    """A source of documents under the test's control, and the outcomes it led to."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.document = json.dumps({"keys": [jwk("EdDSA", "one")]}).encode()
        self.outcomes: asyncio.Queue[str] = asyncio.Queue()
        self.keys = FreshKeys(
            self.load, "shelf", self.clock, keys=None, every=600, at_most=30, count=self.outcomes.put_nowait
        )

    async def load(self) -> bytes:
        return self.document

    async def outcome(self) -> str:
        return await asyncio.wait_for(self.outcomes.get(), 5)


async def test_the_first_set_is_there_after_the_start() -> None:
    shelf = Shelf()
    await shelf.keys.start(5)
    assert repr(shelf.keys) == "<FreshKeys shelf <KeySet [<Key 'one' EdDSA>]> after 0 failures>"
    await shelf.keys.stop()


async def test_the_start_does_not_wait_for_a_source_that_does_not_answer() -> None:
    shelf = Shelf()
    gate = asyncio.Event()

    async def load() -> bytes:
        await gate.wait()
        return shelf.document

    slow = FreshKeys(load, "slow", shelf.clock, keys=None, every=600, at_most=30, count=shelf.outcomes.put_nowait)
    await slow.start(0.01)
    assert slow.keys is None
    gate.set()
    assert await shelf.outcome() == "ok"
    assert slow.keys is not None
    await slow.stop()


async def test_an_unchanged_document_leaves_the_very_same_set() -> None:
    shelf = Shelf()
    await shelf.keys.start(5)
    before = shelf.keys.keys
    assert await shelf.outcome() == "ok"
    shelf.clock.advance(30)
    shelf.keys.want()
    assert await shelf.outcome() == "ok"
    assert shelf.keys.keys is before
    await shelf.keys.stop()


async def test_a_failure_keeps_the_set_and_is_counted() -> None:
    shelf = Shelf()
    await shelf.keys.start(5)
    assert await shelf.outcome() == "ok"
    shelf.document = b"<html>"
    shelf.clock.advance(30)
    shelf.keys.want()
    assert await shelf.outcome() == "failed"
    assert repr(shelf.keys) == "<FreshKeys shelf <KeySet [<Key 'one' EdDSA>]> after 1 failures>"
    await shelf.keys.stop()


async def test_what_is_wanted_too_soon_comes_as_soon_as_it_may() -> None:
    shelf = Shelf()
    await shelf.keys.start(5)
    assert await shelf.outcome() == "ok"
    shelf.clock.advance(29.99)
    begun = shelf.keys.begun
    shelf.keys.want()
    await shelf.keys.attempted()
    assert (shelf.keys.begun, shelf.keys.ended) == (begun + 1, begun + 1)
    shelf.keys.want()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await shelf.keys.attempted()
    await shelf.keys.stop()


async def test_stopping_ends_all_waiting() -> None:
    shelf = Shelf()
    await shelf.keys.start(5)
    waiting = asyncio.ensure_future(shelf.keys.attempted())
    await asyncio.sleep(0)
    assert shelf.keys.renews
    await shelf.keys.stop()
    async with asyncio.timeout(5):
        await waiting
    assert not shelf.keys.renews


async def test_documents_may_be_read_otherwise() -> None:
    shelf = Shelf()
    made = from_secret(b"s" * 32, ["HS256"])
    other = FreshKeys(
        shelf.load,
        "other",
        shelf.clock,
        keys=None,
        every=600,
        at_most=30,
        count=shelf.outcomes.put_nowait,
        parse=lambda _: made,
    )
    await other.start(5)
    assert other.keys is made
    await other.stop()


async def test_stopping_twice_or_before_the_start_is_harmless() -> None:
    shelf = Shelf()
    await shelf.keys.stop()
    await shelf.keys.start(5)
    await shelf.keys.stop()
    await shelf.keys.stop()


def test_a_file_has_a_bound(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b" " * 300_000)
    with pytest.raises(KeysError, match="more than 262144 bytes"):
        read_file(str(file))
