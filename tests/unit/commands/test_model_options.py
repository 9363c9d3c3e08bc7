"""How the commands about models tell of them."""

from __future__ import annotations

import pytest

from edgeproxy.commands.model_options import duration, size, table


def test_a_table_is_as_wide_as_what_is_in_it() -> None:
    assert table(("name", "size"), [("a", "10 B"), ("bcdef", "1 B")], ("size",)) == (
        "name   size\na      10 B\nbcdef   1 B"
    )


def test_nothing_in_a_table_steers_the_terminal() -> None:
    assert table(("name",), [("\x1b[2Ja\n",)], ()) == "name\n?[2Ja?"


@pytest.mark.parametrize(("seconds", "shown"), [(2, "2 s"), (0.05, "50 ms"), (7.25e-6, "7.25 µs"), (0, "0 µs")])
def test_times_have_their_unit(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 B"), (999, "999 B"), (44_840, "44.8 kB"), (3_830_000, "3.8 MB")])
def test_sizes_have_their_unit(number: int, shown: str) -> None:
    assert size(number) == shown
