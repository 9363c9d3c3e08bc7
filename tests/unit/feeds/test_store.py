"""Fetched lists in files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.feeds.store import NOTHING, Kept, Store, _read, digest_of

URL = "https://lists.example/drop.json?key=secret"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "made", "drop", URL)


def state_file(store: Store) -> Path:
    return store._path("json")


def test_what_is_kept_is_found_again(store: Store, tmp_path: Path) -> None:
    assert store.state() == NOTHING
    state = Kept(digest_of(b"list"), '"v1"', "Mon, 01 Jan 2027 00:00:00 GMT", 10.0, 11.5, 2)
    store.keep(state, b"list")
    again = Store(tmp_path / "made", "drop", URL)
    assert again.state() == state
    assert again.content(state.digest) == b"list"
    assert not any("secret" in path.name for path in (tmp_path / "made").iterdir())


def test_a_content_that_is_not_the_one_that_was_kept_is_none(store: Store) -> None:
    store.keep(Kept(digest_of(b"list")), b"list")
    store._path("list").write_bytes(b"lis")
    assert store.content(digest_of(b"list")) is None
    store._path("list").unlink()
    assert store.content(digest_of(b"list")) is None


def test_lists_of_other_names_and_urls_are_apart(store: Store, tmp_path: Path) -> None:
    store.keep(Kept("a"), b"list")
    assert Store(tmp_path / "made", "drop", URL + "2").state() == NOTHING
    assert Store(tmp_path / "made", "edrop", URL).state() == NOTHING


def test_one_at_a_time_has_the_turn(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "made", "drop", URL)
    with store.turn() as ours:
        assert ours
        with other.turn() as theirs:
            assert not theirs
    with other.turn() as theirs:
        assert theirs


def test_a_write_that_fails_leaves_no_half_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.keep(Kept("a"), b"list")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.keep(Kept("b"), b"other")
    assert store.state() == Kept("a")
    assert len(list(state_file(store).parent.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"digest": 1}', b"[" * 100_000, b"\xff"])
def test_a_damaged_state_is_none(store: Store, content: bytes) -> None:
    store.keep(Kept("a"))
    state_file(store).write_bytes(content)
    assert store.state() == NOTHING


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)


@given(st.fixed_dictionaries(dict.fromkeys(Kept._fields, JSON)))
def test_any_state_is_read_or_refused(told: dict[str, object]) -> None:
    try:
        state = _read(told)
    except (ValueError, OverflowError):
        return
    assert isinstance(state.failures, int)
