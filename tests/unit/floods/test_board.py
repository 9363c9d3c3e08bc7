"""One file, many writers, one judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgeproxy.floods.board import CELLS, NAME, Board
from edgeproxy.floods.judge import NODE, Counts

HOLDS = """
import sys, pathlib
from edgeproxy.floods.board import Board
from edgeproxy.floods.judge import Counts
board = Board(pathlib.Path(sys.argv[1]), "key")
board.add("node", Counts(100))
print(board.judges(), flush=True)
sys.stdin.read()
"""


def test_all_read_the_sum_of_all_lines(tmp_path: Path) -> None:
    boards = [Board(tmp_path, "key") for _ in range(4)]
    for number, board in enumerate(boards):
        board.add(NODE, Counts(10 + number, 1, 2, 3))
        board.add(f"route:{number % 2}", Counts(1))
    expected = {NODE: Counts(46, 4, 8, 12), "route:0": Counts(2), "route:1": Counts(2)}
    assert [board.sums() for board in boards] == [expected] * 4


def test_a_writer_that_has_counted_nothing_hides_nobody(tmp_path: Path) -> None:
    silent, busy = Board(tmp_path, "key"), Board(tmp_path, "key")
    busy.add(NODE, Counts(7))
    assert silent.sums() == busy.sums() == {NODE: Counts(7)}


def test_other_settings_have_another_board(tmp_path: Path) -> None:
    one, other = Board(tmp_path, "one"), Board(tmp_path, "other")
    one.add(NODE, Counts(7))
    assert other.sums() == {NODE: Counts()}
    assert one.judges()
    assert other.judges()


def test_without_a_folder_it_is_ones_own() -> None:
    one, other = Board(), Board()
    one.add(NODE, Counts(7))
    assert one.judges()
    assert one.sums() == {NODE: Counts(7)}
    assert other.sums() == {NODE: Counts()}
    one.publish({"a": 1})
    assert one.verdict() is None


def test_the_next_writer_of_a_line_goes_on_with_its_counts(tmp_path: Path) -> None:
    reader, writer = Board(tmp_path, "key"), Board(tmp_path, "key")
    writer.add("route:a", Counts(5))
    writer.close()
    assert reader.sums()["route:a"] == Counts(5)
    heir = Board(tmp_path, "key")
    heir.add("route:b", Counts(1))
    heir.add("route:a", Counts(2))
    assert repr(heir).startswith("<Board line 1,")
    assert reader.sums() == {NODE: Counts(), "route:a": Counts(7), "route:b": Counts(1)}


def test_one_judges_and_another_once_that_is_gone(tmp_path: Path) -> None:
    first, second = Board(tmp_path, "key"), Board(tmp_path, "key")
    assert (first.judges(), second.judges(), first.judges()) == (True, False, True)
    first.close()
    assert second.judges()


def test_a_worker_that_is_killed_leaves_its_line_and_its_office(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "True\n"
        mine = Board(tmp_path, "key")
        assert not mine.judges()
        assert mine.sums() == {NODE: Counts(100)}
        worker.kill()
        worker.wait()
    assert mine.judges()
    assert repr(Board(tmp_path, "key")).startswith("<Board line 0,")
    assert mine.sums() == {NODE: Counts(100)}, "what it had counted stays"


def test_a_verdict_is_read_once(tmp_path: Path) -> None:
    judge, other = Board(tmp_path, "key"), Board(tmp_path, "key")
    assert other.verdict() is None
    judge.publish({"surge": 1.5})
    assert other.verdict() == {"surge": 1.5}
    assert other.verdict() is None


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_what_is_no_verdict_is_none(tmp_path: Path, text: str) -> None:
    board = Board(tmp_path, "key")
    (tmp_path / "floods-key.json").write_bytes(text.encode("latin-1"))
    assert board.verdict() is None


def test_scopes_have_a_bound_in_number_and_length(tmp_path: Path) -> None:
    board = Board(tmp_path, "key")
    for number in range(CELLS + 50):
        board.add(f"route:{number}", Counts(1))
    board.add("route:" + "x" * NAME, Counts(1))
    board.add("route:0", Counts(1))
    sums = board.sums()
    assert len(sums) == CELLS
    assert sums["route:0"] == Counts(2)
    size = (tmp_path / "floods-key").stat()
    assert size.st_blocks * 512 < 200_000 < size.st_size


def test_no_place_is_an_error_and_not_a_signal(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Board(tmp_path / "gone", "key")
