"""Limits in memory that workers share."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from struct import pack_into

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.limits.gcra import Limiter
from edgeproxy.limits.node import WAYS, NodeLimiter

NOW = 5_000.0
SECRET = b"s" * 32


def limiter(
    folder: Path | None, *, interval: float = 1.0, burst: float = 3, keys: int = 800, name: str = "a"
) -> NodeLimiter:
    return NodeLimiter(interval, burst, keys, SECRET, folder, name)


def two(folder: Path, **settings: float) -> tuple[NodeLimiter, NodeLimiter]:
    both = limiter(folder, **settings), limiter(folder, **settings)  # type: ignore[arg-type]
    for one in both:
        asyncio.run(one.start())
    return both


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "charge", "wait"]),
            st.sampled_from([b"a", b"b"]),
            st.floats(0, 9),
            st.floats(0.1, 4),
        )
    )
)
def test_it_counts_as_a_worker_alone_does(acts: list[tuple[str, bytes, float, float]]) -> None:
    here, there = limiter(None), Limiter(1.0, 3, 800)
    now = NOW
    for act, key, passed, cost in acts:
        now += passed
        found, expected = getattr(here, act)(key, now, cost), getattr(there, act)(key, now, cost)
        assert found == pytest.approx(expected)
        if act == "take" and found > 0:
            assert here.available(found, now) == there.available(expected, now)


def test_workers_of_one_table_count_together(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    assert [limit.take(b"k", NOW) > 0 for limit in (one, other, one, other)] == [True, True, True, False]
    assert other.take(b"k", NOW) == pytest.approx(-1.0)
    other.charge(b"k", NOW, 5.0)
    assert one.wait(b"k", NOW) == pytest.approx(6.0)
    assert one.take(b"another", NOW) > 0
    assert (len(one), len(other)) == (2, 0)


def test_tables_of_other_names_count_apart(tmp_path: Path) -> None:
    one, other = limiter(tmp_path), limiter(tmp_path, name="b")
    asyncio.run(one.start())
    asyncio.run(other.start())
    one.charge(b"k", NOW, 9.0)
    assert other.wait(b"k", NOW) == 0


def test_keys_do_not_stand_in_the_table(tmp_path: Path) -> None:
    one = limiter(tmp_path)
    asyncio.run(one.start())
    one.take(b"203.0.113.77", NOW)
    (file,) = tmp_path.iterdir()
    assert b"203.0.113.77" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_last_to_leave_removes_the_table(tmp_path: Path) -> None:
    one, other = two(tmp_path)
    one.charge(b"k", NOW, 9.0)
    asyncio.run(one.stop())
    assert list(tmp_path.iterdir())
    third = limiter(tmp_path)
    asyncio.run(third.start())
    assert third.wait(b"k", NOW) > 0
    asyncio.run(other.stop())
    asyncio.run(third.stop())
    assert not list(tmp_path.iterdir())
    assert one.take(b"k", NOW) < 0  # an exchange that was under way still counts


def test_memory_is_fixed_and_reserved(tmp_path: Path) -> None:
    one = limiter(tmp_path, keys=10_000)
    asyncio.run(one.start())
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size == 160_000
    assert file.stat().st_blocks * 512 >= 160_000
    for number in range(50_000):
        one.take(b"%d" % number, NOW)
    assert file.stat().st_size == 160_000
    assert len(one) <= 10_000


def test_in_a_full_set_the_key_nearest_to_its_end_gives_way() -> None:
    one = limiter(None, keys=WAYS)
    for number in range(WAYS):
        one.charge(b"%d" % number, NOW, 10.0 + number)
    assert one.take(b"new", NOW) > 0
    assert one.wait(b"0", NOW) == 0
    assert [one.wait(b"%d" % number, NOW) for number in range(1, WAYS)] == [8.0 + number for number in range(1, WAYS)]


def test_a_place_whose_time_has_passed_is_free() -> None:
    one = limiter(None, keys=WAYS)
    one.charge(b"passed", NOW, 1.0)
    for number in range(1, WAYS):
        one.charge(b"%d" % number, NOW, 10.0)
    one.take(b"new", NOW + 2)
    assert [one.wait(b"%d" % number, NOW + 2) for number in range(1, WAYS)] == [6.0] * (WAYS - 1)


def test_few_are_pushed_out_of_a_table_that_is_not_full() -> None:
    one = limiter(None, keys=8_000)
    for number in range(2_000):
        one.charge(b"%d" % number, NOW, 10.0)
    assert sum(one.wait(b"%d" % number, NOW) == 0 for number in range(2_000)) <= 4
    for number in range(2_000, 4_000):
        one.charge(b"%d" % number, NOW, 10.0)
    assert 0 < sum(one.wait(b"%d" % number, NOW) == 0 for number in range(4_000)) < 200


@pytest.mark.parametrize("time", [math.nan, -math.inf, -1.0])
def test_a_time_that_makes_no_sense_heals(tmp_path: Path, time: float) -> None:
    one = limiter(tmp_path, keys=WAYS)
    asyncio.run(one.start())
    one.charge(b"k", NOW, 9.0)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    for place in range(WAYS):
        pack_into("=d", content, 8 * (WAYS + place), time)
    with file.open("r+b") as opened:
        opened.write(content)
    assert [one.take(b"k", NOW) > 0 for _ in range(4)] == [True, True, True, False]


def test_a_folder_that_cannot_be_written_to_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no room for the 1 MB that 800 keys take in .*/nowhere: No such file"):
        asyncio.run(limiter(tmp_path / "nowhere").start())
    (tmp_path / "limit-a").mkdir()
    with pytest.raises(ValueError, match="Is a directory"):
        asyncio.run(limiter(tmp_path).start())


def test_its_state_shows() -> None:
    one = limiter(None)
    one.take(b"k", NOW)
    assert repr(one) == "<NodeLimiter of this process, 1 of 800 keys>"
