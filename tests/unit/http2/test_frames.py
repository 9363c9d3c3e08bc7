"""Frames as hyperframe reads them."""

from __future__ import annotations

from hyperframe.frame import Frame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http2 import frames


@given(kind=st.sampled_from([frames.DATA, frames.PING, frames.WINDOW_UPDATE]), stream=st.integers(1, 2**31 - 1))
def test_a_header_says_what_hyperframe_reads(kind: int, stream: int) -> None:
    size = frames.SHAPES[kind].shortest or 70_000
    head = frames.header(size, kind, 0, 0 if kind == frames.PING else stream)
    read, length = Frame.parse_frame_header(memoryview(head))
    assert (read.type, length, read.stream_id) == (kind, size, 0 if kind == frames.PING else stream)
    upper, lower, told, flags, where = frames.unpack_header(head, 0)
    assert (upper << 8 | lower, told, flags, where) == (size, kind, 0, read.stream_id)


@given(st.dictionaries(st.integers(1, 9), st.integers(0, 2**32 - 1)))
def test_settings_are_read_as_they_were_written(values: dict[int, int]) -> None:
    written = frames.settings(values)
    read = SettingsFrame(0)
    read.parse_body(memoryview(written[frames.HEADER_SIZE :]))
    assert dict(read.settings) == values
    assert dict(frames.read_settings(written[frames.HEADER_SIZE :])) == values


def test_errors_have_names() -> None:
    assert frames.name_of(frames.ENHANCE_YOUR_CALM) == "ENHANCE_YOUR_CALM"
    assert frames.name_of(0x1234) == "unknown"
