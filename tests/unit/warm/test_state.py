"""The state file: what is in it is not asked for again."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeproxy.warm.state import State


def test_what_is_done_is_there_at_once_and_for_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with State(file) as state:
        state.add("http://a.example/1")
        with State(file) as killed_meanwhile:
            assert killed_meanwhile.done == {"http://a.example/1"}
        state.add("http://a.example/2")
    with State(file) as state:
        assert state.done == {"http://a.example/1", "http://a.example/2"}


def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with State(file) as state:
        state.add("http://a.example/1")
    with file.open("ab") as cut:
        cut.write(b"http://a.exam")
    with State(file) as state:
        assert state.done == {"http://a.example/1"}
        state.add("http://a.example/2")
    with State(file) as state:
        assert state.done == {"http://a.example/1", "http://a.example/2"}


def test_somebody_elses_file_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    file.write_text("http://a.example/\n")
    with pytest.raises(ValueError, match="no state file"):
        State(file)
    assert file.read_text() == "http://a.example/\n"


def test_it_is_gone_when_all_is_done(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with State(file) as state:
        state.add("http://a.example/1")
    state.forget()
    assert not file.exists()


def test_without_a_file_nothing_is_kept() -> None:
    with State(None) as state:
        state.add("http://a.example/1")
    state.forget()
    assert state.done == {"http://a.example/1"}
