"""The bounded memo."""

from __future__ import annotations

import pytest

from edgeproxy.pipeline.memo import Memo


def test_a_value_is_computed_once() -> None:
    asked: list[str] = []
    memo: Memo[str, int] = Memo(lambda key: asked.append(key) or len(key), 10)
    assert [memo["abc"], memo["abc"], memo["x"]] == [3, 3, 1]
    assert asked == ["abc", "x"]


def test_it_never_holds_more_than_its_size() -> None:
    memo: Memo[str, int] = Memo(int, 10)
    for number in range(1000):
        assert memo[str(number)] == number
    assert repr(memo) == "<Memo 5+5 of 10>"


def test_what_is_asked_for_again_and_again_stays() -> None:
    asked: list[str] = []
    memo: Memo[str, int] = Memo(lambda key: asked.append(key) or 0, 10)
    for number in range(1000):
        assert memo["hot"] == 0
        assert memo[str(number)] == 0
    assert asked.count("hot") == 1


def test_long_keys_are_not_kept() -> None:
    memo: Memo[bytes, int] = Memo(len, 10, longest=4)
    assert memo[b"12345"] == 5
    assert memo[b"1234"] == 4
    assert repr(memo) == "<Memo 1+0 of 10>"


def test_what_compute_raises_is_raised_again_each_time() -> None:
    memo: Memo[str, int] = Memo(int, 10)
    for _ in range(2):
        with pytest.raises(ValueError):
            memo["x"]
    assert len(memo) == 0


def test_forgetting_drops_both_generations() -> None:
    memo: Memo[str, int] = Memo(int, 4)
    for number in range(3):
        memo[str(number)]
    memo.forget()
    assert repr(memo) == "<Memo 0+0 of 4>"
