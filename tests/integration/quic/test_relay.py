"""Workers pass datagrams on to each other over Unix sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeproxy.quic.relay import ASKED_MOST, Relay
from edgeproxy.quic.tokens import Address

HERE: Address = ("192.0.2.7", 50_000)
SHORT = b"\x40" + b"an id..." + b"payload"
TAG = b"tag1"


class Worker:
    """A relay, and what it was given; ``mine``: the ids it has."""

    def __init__(self, folder: Path, clock: Callable[[], float], *mine: bytes) -> None:
        self.got: list[tuple[bytes, bytes, Address]] = []
        self.mine = mine
        self.relay = Relay(folder, clock, self._take)

    def _take(self, listener: bytes, data: bytes, address: Address) -> bool:
        self.got.append((listener, data, address))
        return data[1:9] in self.mine


@pytest.fixture
def close() -> Iterator[Callable[[Worker], Worker]]:
    made: list[Worker] = []

    def keep(worker: Worker) -> Worker:
        made.append(worker)
        return worker

    yield keep
    for worker in made:
        worker.relay.close()


async def settled(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("it did not come")


async def test_each_worker_has_a_number_of_its_own_and_frees_it(
    tmp_path: Path, close: Callable[[Worker], Worker]
) -> None:
    first, second = (close(Worker(tmp_path, lambda: 0.0)) for _ in range(2))
    assert {first.relay.number, second.relay.number} == {0, 1}
    third = Worker(tmp_path, lambda: 0.0)
    third.relay.close()
    assert close(Worker(tmp_path, lambda: 0.0)).relay.number == third.relay.number == 2


@pytest.mark.parametrize("address", [HERE, ("2001:db8::7", 443, 1, 2)])
async def test_a_datagram_goes_to_the_worker_that_is_named(
    tmp_path: Path, close: Callable[[Worker], Worker], address: Address
) -> None:
    first, second, third = (close(Worker(tmp_path, lambda: 0.0)) for _ in range(3))
    first.relay.give(third.relay.number, SHORT[1:9], TAG, SHORT, address)
    await settled(lambda: bool(third.got))
    assert third.got == [(TAG, SHORT, address)]
    assert not second.got
    assert first.relay.passed == 1


async def test_where_nobody_is_named_all_are_asked_and_the_owner_is_remembered(
    tmp_path: Path, close: Callable[[Worker], Worker]
) -> None:
    now = [0.0]
    first = close(Worker(tmp_path, lambda: now[0]))
    second = close(Worker(tmp_path, lambda: now[0]))
    owner = close(Worker(tmp_path, lambda: now[0], SHORT[1:9]))
    first.relay.give(None, SHORT[1:9], TAG, SHORT, HERE)
    await settled(lambda: bool(second.got) and bool(owner.got) and bool(first.relay._owners))
    first.relay.give(None, SHORT[1:9], TAG, SHORT, HERE)
    await settled(lambda: len(owner.got) == 2)
    assert len(second.got) == 1


async def test_asking_all_is_bounded(tmp_path: Path, close: Callable[[Worker], Worker]) -> None:
    first, second = (close(Worker(tmp_path, lambda: 0.0)) for _ in range(2))
    for number in range(3 * int(ASKED_MOST)):
        first.relay.give(None, b"%08d" % number, TAG, b"\x40%08d" % number, HERE)
        await asyncio.sleep(0)
    assert first.relay.passed <= ASKED_MOST
    assert not second.relay.passed


async def test_what_begins_is_passed_on_to_a_worker_that_stays(
    tmp_path: Path, close: Callable[[Worker], Worker]
) -> None:
    now = [0.0]
    old, leaving, new, newer = (close(Worker(tmp_path, lambda: now[0])) for _ in range(4))
    assert old.relay.successor(b"original") is not None
    leaving.relay.leave()
    now[0] += 10
    chosen = {old.relay.successor(b"%08d" % (number * 997)) for number in range(50)}
    assert chosen <= {new.relay.number, newer.relay.number}
    assert old.relay.successor(b"original") == old.relay.successor(b"original")
    for worker in (new, newer):
        worker.relay.leave()
    now[0] += 10
    assert old.relay.successor(b"original") is None
    old.relay.give(None, b"original", TAG, b"\xc0 long", HERE, ask=False)
    assert not old.relay.passed


async def test_a_worker_that_is_gone_is_no_error(tmp_path: Path, close: Callable[[Worker], Worker]) -> None:
    now = [0.0]
    first, second = close(Worker(tmp_path, lambda: now[0])), Worker(tmp_path, lambda: now[0])
    assert first.relay.has(second.relay.number)
    second.relay.close()
    first.relay.give(second.relay.number, SHORT[1:9], TAG, SHORT, HERE)
    now[0] += 10
    assert not first.relay.has(second.relay.number)
    assert not first.relay.has(None)
    assert not first.relay.has(first.relay.number)
