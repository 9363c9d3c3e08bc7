"""The eviction table's place in its page."""

import pytest

from tests.benchmarks.eviction import PAGE, belady, fifo, lru, put_in

MADE = "| load | room |\n|---|---|\n| new | 1% |"


def test_a_table_takes_the_place_of_the_one_that_begins_alike():
    page = "# Page\n\n| load | other |\n|---|---|\n\n| load | room |\n|---|---|\n| old | 1% |\n| old | 5% |\n\nText.\n"
    assert put_in(page, MADE) == f"# Page\n\n| load | other |\n|---|---|\n\n{MADE}\n\nText.\n"


def test_a_page_without_one_is_left_alone():
    with pytest.raises(ValueError, match="0 tables begin with"):
        put_in("# Page\n", MADE)


def test_the_page_has_a_table_for_every_room():
    assert all(f"| {room} |" in PAGE.read_text(encoding="utf-8") for room in ("1%", "5%", "10%"))


def test_the_policies_do_what_their_names_say():
    keys = [1, 2, 1, 3, 1, 2]
    assert fifo(keys, 2) == [False, False, True, False, False, False]
    assert lru(keys, 2) == [False, False, True, False, True, False]
    assert belady(keys, 2) == [False, False, True, False, True, True]
