"""Purges done in steps, and ended by whoever comes next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from edgeproxy.cache.disk_batch import Batch
from edgeproxy.cache.disk_purges import MOST, Purges
from edgeproxy.cache.disk_store import Store
from tests.support.disk import NOW, body_of, environment, purge, stored, write

KEYS = [b"http://a.example/%d" % number for number in range(10)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with environment(tmp_path) as store:
        write(store, *map(stored, KEYS))
        yield store


def left(store: Store) -> int:
    return sum(body_of(store, key) is not None for key in KEYS)


def notes(store: Store) -> int:
    with store.environment.begin() as transaction, transaction.cursor(store.about) as cursor:
        return sum(key.startswith(b"purge:") for key, _ in cursor)


def test_a_purge_is_done_in_steps_and_tells_how_many(store: Store) -> None:
    purges = Purges()
    done = purges.add(purge("all"))
    steps = 1
    while purges.step(store, 3):
        assert left(store) == 10 - 3 * steps
        assert not done.done()
        steps += 1
    assert (steps, left(store), done.result(0), len(purges)) == (4, 0, 10, 0)
    assert not purges.step(store, 3)


def test_they_are_done_in_their_order(store: Store) -> None:
    purges = Purges()
    first, second = purges.add(purge("url", KEYS[0])), purges.add(purge("all"))
    assert purges.step(store, 100)
    assert (first.done(), second.done(), left(store)) == (True, False, 9)
    assert not purges.step(store, 100)
    assert second.result(0) == 9


def test_what_one_process_began_the_next_one_ends(store: Store) -> None:
    killed = Purges()
    killed.add(purge("prefix", b"http://a.example/"))
    assert killed.step(store, 4)
    assert notes(store) == 1
    heir = Purges()
    heir.recall(store)
    while heir.step(store, 4):
        pass
    assert (left(store), notes(store), len(heir)) == (0, 0, 0)


def test_what_has_not_begun_is_noted_by_who_leaves_in_good_order(store: Store) -> None:
    leaving = Purges()
    for key in KEYS[:3]:
        leaving.add(purge("url", key))
    leaving.note(store)
    leaving.note(store)
    assert notes(store) == 3
    heir = Purges()
    heir.recall(store)
    heir.recall(store)
    assert len(heir) == 3
    while heir.step(store, 4):
        pass
    assert (left(store), notes(store)) == (7, 0)


def test_one_who_opens_anew_takes_up_its_own_once(store: Store) -> None:
    purges = Purges()
    purges.add(purge("all"))
    purges.step(store, 2)
    purges.recall(store)
    assert len(purges) == 1


def test_a_note_that_cannot_be_read_stands_for_everything(store: Store) -> None:
    with Batch(store) as batch:
        batch.note(b"purge:1", b"{")
    purges = Purges()
    purges.recall(store)
    purges.step(store, 100)
    assert (left(store), notes(store)) == (0, 0)


def test_too_many_become_one_of_everything(store: Store) -> None:
    purges = Purges()
    for number in range(MOST):
        purges.add(purge("url", b"http://b.example/%d" % number))
    done = purges.add(purge("url", KEYS[0], at=NOW + 1))
    assert purges.add(purge("url", KEYS[1], at=NOW + 2)) is done
    assert len(purges) == MOST + 1
    purges._tasks.rotate(1)  # the last one first
    purges.step(store, 100)
    assert (done.result(0), left(store)) == (10, 0)


def test_a_step_that_fails_is_tried_again(store: Store) -> None:
    purges = Purges()
    done = purges.add(purge("all"))
    outer = Batch(store)  # nobody else can write
    with pytest.raises(lmdb.Error):
        purges.step(store, 100)
    outer.__exit__(ValueError, None, None)
    assert (len(purges), done.done()) == (1, False)
    purges.step(store, 100)
    assert done.result(0) == 10
