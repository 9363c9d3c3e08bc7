"""Connection ids tell the node's workers whose they are, and nobody else anything."""

from __future__ import annotations

import pytest

from edgeproxy.quic.ids import LENGTH, WORKERS_MOST, Ids

SECRET = b"s" * 32


@pytest.mark.parametrize("worker", [0, 1, 7, WORKERS_MOST - 1])
def test_any_worker_of_the_node_reads_the_number(worker: int) -> None:
    cid = Ids(SECRET, worker).make()
    assert len(cid) == LENGTH
    assert Ids(SECRET, 3).worker(cid) == worker


def test_no_two_are_alike() -> None:
    ids = Ids(SECRET, 1)
    assert len({ids.make() for _ in range(1_000)}) == 1_000


def test_without_the_secret_they_tell_nothing() -> None:
    ids, stranger = Ids(SECRET, 5), Ids(b"t" * 32, 5)
    made = [ids.make() for _ in range(500)]
    assert sum(stranger.worker(cid) is not None for cid in made) <= 2
    assert len({cid[-3:] for cid in made}) > 490, "one worker's look as different as any"


@pytest.mark.parametrize("cid", [b"", b"short", bytes(20)])
def test_what_is_no_id_of_ours_is_nobodys(cid: bytes) -> None:
    assert Ids(SECRET, 0).worker(cid) is None
