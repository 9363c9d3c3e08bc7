"""Client hints: what they say, and the width that is enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.images.hints import Hints, read, wanted_width

WIDTHS = (320, 640, 1280, 1920)


def hints(**fields: bytes) -> Hints:
    return read({name.replace("_", "-").encode(): value for name, value in fields.items()})


def test_fields_are_read_as_the_items_they_are() -> None:
    assert hints(sec_ch_width=b"640", sec_ch_viewport_width=b"1280", sec_ch_dpr=b"2.5") == Hints(640, 1280, 2.5)
    assert hints(save_data=b"on") == Hints(saving=True, slow=True)
    assert hints(ect=b"3g") == Hints(slow=True)
    assert hints(ect=b"4g", save_data=b"off") == Hints()


@pytest.mark.parametrize(
    "value",
    [b"", b"0", b"-1", b"20001", b"1e3", b"640px", b'"640"', b"?1", b"640, 320", b"(640)", b"nan", b"6" * 40, b"\xff"],
)
def test_what_is_no_number_in_bounds_says_nothing(value: bytes) -> None:
    assert hints(sec_ch_width=value, sec_ch_viewport_width=value) == Hints()
    assert hints(sec_ch_dpr=value).dpr == 0


@pytest.mark.parametrize("value", [b"?1", b'"on"', b"on, on", b"onx", b"yes", b"1"])
def test_save_data_is_one_word(value: bytes) -> None:
    assert not hints(save_data=value).saving


@pytest.mark.parametrize(
    ("told", "width"),
    [
        (Hints(), 0),
        (Hints(dpr=2), 0),
        (Hints(width=1), 320),
        (Hints(width=320), 320),
        (Hints(width=321), 640),
        (Hints(width=5000), 1920),
        (Hints(width=600, dpr=2), 640),
        (Hints(viewport=400), 640),
        (Hints(viewport=400, dpr=2), 1280),
        (Hints(viewport=600, dpr=8), 1920),  # three pixels for one, at most
        (Hints(width=600, viewport=4000, dpr=2), 640),
        (Hints(width=1200, dpr=6), 640),
        (Hints(width=1200, dpr=2, saving=True), 640),
        (Hints(width=600, dpr=0.5, saving=True), 640),
        (Hints(viewport=600, dpr=3, saving=True), 640),
    ],
)
def test_the_next_width_that_is_enough(told: Hints, width: int) -> None:
    assert wanted_width(told, WIDTHS) == width


@given(st.binary(max_size=40))
def test_whatever_is_written_is_read(value: bytes) -> None:
    told = hints(sec_ch_width=value, sec_ch_viewport_width=value, sec_ch_dpr=value, save_data=value, ect=value)
    assert wanted_width(told, WIDTHS) in {0, *WIDTHS}
