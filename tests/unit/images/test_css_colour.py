"""Colours as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.images.css_colour import parse_colour


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("ff8000", (255, 128, 0, 255)),
        ("#ff8000", (255, 128, 0, 255)),
        ("f80", (255, 136, 0, 255)),
        ("f808", (255, 136, 0, 136)),
        ("ff800040", (255, 128, 0, 64)),
        ("rgb(240,40,145)", (240, 40, 145, 255)),
        ("rgb( 240 40 145 / 50% )", (240, 40, 145, 128)),
        ("rgba(240, 40, 145, .5)", (240, 40, 145, 128)),
        ("rgb(1 2 3 / 0)", (1, 2, 3, 0)),
        ("white", (255, 255, 255, 255)),
        ("transparent", (0, 0, 0, 0)),
    ],
)
def test_every_notation_of_a_colour(text: str, colour: tuple[int, int, int, int]) -> None:
    assert parse_colour(text) == colour


@pytest.mark.parametrize(
    "text",
    [
        *("", "#", "ff", "fffff", "ggg", "rgb()", "rgb(1,2)", "rgb(1,2,3,4,5)", "rgb(256,0,0)", "rgb(1,2,3,2)"),
        *("rgb(-1,0,0)", "rgb(1e1,0,0)", "rgb(1,2,3", "rgb(nan,0,0)", "rgb(1,2,3,101%)", "rebeccapurple", "ff8000\n"),
    ],
)
def test_what_is_no_colour(text: str) -> None:
    with pytest.raises(ValueError, match="no colour"):
        parse_colour(text)


@given(st.text(alphabet="rgba(), /%.#0123456789f", max_size=40))
def test_whatever_is_written_is_a_colour_or_none(text: str) -> None:
    try:
        colour = parse_colour(text)
    except ValueError:
        return
    assert all(0 <= part <= 255 for part in colour)
