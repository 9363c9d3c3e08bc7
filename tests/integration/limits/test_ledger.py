"""The script that Redis runs, against what it says it does."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.crc import key_slot

from edgeproxy.limits.lease import Ask, Terms
from edgeproxy.limits.ledger import SCRIPT, SETTLE, Told, arguments, keys, name, read
from tests.support.ledger import Ledger
from tests.support.redis_server import RedisServer

TERMS = Terms(1_000.0, 20, 5, 5)  # so slow that the time between two calls is nothing


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with server.client as client:
        client.flushall()
        yield client


def call(redis: Redis, *asked: tuple[bytes, Ask], epoch: bytes = b"", away: bool = False, worker: str = "w1") -> Told:
    places = keys("p:", 0, [key for key, _ in asked])
    return read(
        redis.eval(SCRIPT, len(places), *places, *arguments(worker, epoch, away, [(TERMS, one) for _, one in asked]))
    )


def ask(*, want: int = 0, owed: float = 0.0, floor: float = -1e6, must: bool = False, age: float = 0.0) -> Ask:
    return Ask(floor, must, owed, age, want)


def test_it_does_what_its_model_does(redis: Redis) -> None:
    draw = random.Random(4)
    models: dict[bytes, Ledger] = {b"a": Ledger(), b"b": Ledger()}
    epoch = call(redis).epoch
    for _ in range(400):
        asked = [
            (
                key,
                ask(
                    want=draw.randrange(6),
                    owed=draw.choice([0, 0, 1, 2.5, -1, -3]),
                    floor=draw.choice([-1e6, 2_500.0, 9_000.0]),
                    must=draw.random() < 0.1,
                    age=draw.choice([0.0, 0.0, 1_700.0]),
                ),
            )
            for key in models
        ]
        if draw.random() < 0.05:
            redis.delete(keys("p:", 0, [b"a"])[2])
            models[b"a"] = Ledger()
        now = 1e9
        expected = [models[key].call(now, TERMS, one) for key, one in asked]
        for model in models.values():  # the time between calls is nothing
            if model.arrival is not None and model.arrival <= now:
                model.arrival = None
        told = call(redis, *asked, epoch=epoch)
        assert [granted for granted, _ in told.leases] == [granted for granted, _ in expected]
        assert [ahead for _, ahead in told.leases] == pytest.approx([ahead for _, ahead in expected], abs=5)


def test_keys_expire_by_themselves(redis: Redis) -> None:
    call(redis, (b"a", ask(want=3)))
    assert 2_990_000 < redis.pttl(keys("p:", 0, [b"a"])[2]) <= 3_000_000
    call(redis, (b"a", ask(owed=-3)))
    assert not redis.exists(keys("p:", 0, [b"a"])[2])


def test_workers_are_known_while_they_are_heard(redis: Redis) -> None:
    assert [call(redis, worker=worker).workers for worker in ("w1", "w2", "w2", "w3")] == [1, 2, 2, 3]
    _, workers = keys("p:", 0, [])
    assert 9_000 < redis.pttl(workers) <= 10_000
    redis.zincrby(workers, -11e6, "w1")
    assert call(redis, worker="w2").workers == 2


def test_nothing_is_leased_for_a_while_when_a_worker_has_seen_data_that_is_lost(redis: Redis) -> None:
    before = call(redis, (b"a", ask(want=3))).epoch
    redis.flushall()
    told = call(redis, (b"a", ask(want=3)), epoch=before)
    assert told.epoch != before
    assert told.settling == pytest.approx(SETTLE)
    assert told.leases == []
    assert call(redis, (b"a", ask(want=3)), worker="new").leases[0][0] == 0
    told = call(redis, (b"a", ask(floor=4_000.0, must=True)), epoch=told.epoch)
    assert told.leases[0][1] == pytest.approx(4_000, abs=5)
    redis.hset(keys("p:", 0, [])[0], "settled", 0)
    assert call(redis, (b"a", ask(want=3)), epoch=told.epoch).leases[0][0] == 3


def test_a_worker_alone_that_was_away_does_not_hold_up_the_others(redis: Redis) -> None:
    epoch = call(redis, worker="w1").epoch
    told = call(redis, (b"a", ask(want=3)), epoch=epoch, away=True, worker="w2")
    assert (told.settling, told.leases[0][0]) == (0, 3)


def test_when_all_were_away_all_come_back_together(redis: Redis) -> None:
    epoch = call(redis, worker="w1").epoch
    redis.zincrby(keys("p:", 0, [])[1], -4e6, "w1")
    told = call(redis, (b"a", ask(want=3)), epoch=epoch, away=True, worker="w2")
    assert told.settling == pytest.approx(SETTLE)
    assert call(redis, (b"a", ask(want=3)), epoch=epoch, away=True, worker="w1").settling < SETTLE


def test_a_group_of_keys_is_in_one_slot_of_a_cluster() -> None:
    first, second = (keys("p:", number, [b"a", b"b"]) for number in (3, 4))
    assert len({key_slot(key.encode()) for key in first}) == 1
    assert key_slot(first[0].encode()) != key_slot(second[0].encode())


def test_names_do_not_show_what_they_are_of() -> None:
    assert b"203.0.113.7" not in name(b"limit", b"203.0.113.7")
    assert name(b"limit", b"a") != name(b"other", b"a")
