"""A client's control stream, frame by frame; the errors are in the cases of tests/conformance/http3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http2.events import Priority
from edgeproxy.http3 import codes
from edgeproxy.http3.codes import ProtocolError
from edgeproxy.http3.control import LONGEST, Control, parse_settings
from edgeproxy.http3.varint import encode


def begun() -> Control:
    control = Control()
    assert control.begin(codes.SETTINGS, 0)
    control.take(codes.SETTINGS, b"")
    return control


def test_settings_are_kept_whatever_they_are_called() -> None:
    settings = {codes.MAX_FIELD_SECTION_SIZE: 9, 0x21: 1 << 40}
    payload = b"".join(encode(name) + encode(value) for name, value in settings.items())
    assert parse_settings(payload) == settings


def test_an_unknown_frame_is_not_wanted() -> None:
    assert not begun().begin(0x21, 1 << 30)


def test_a_frame_that_has_to_be_here_whole_is_no_longer_than_it_may_be() -> None:
    with pytest.raises(ProtocolError) as caught:
        begun().begin(codes.PRIORITY_UPDATE, LONGEST + 1)
    assert caught.value.code == codes.EXCESSIVE_LOAD


def test_a_priority_is_told_for_its_stream() -> None:
    event = begun().take(codes.PRIORITY_UPDATE, encode(400) + b"u=0, i")
    assert isinstance(event, Priority)
    assert (event.stream, event.value) == (400, b"u=0, i")


@pytest.mark.parametrize(("kind", "numbers"), [(codes.GOAWAY, (9, 9, 4)), (codes.MAX_PUSH_ID, (0, 4, 4))])
def test_numbers_may_come_again_in_their_direction(kind: int, numbers: tuple[int, ...]) -> None:
    control = begun()
    for number in numbers:
        assert control.take(kind, encode(number)) is None


@given(st.lists(st.tuples(st.sampled_from(sorted(codes.ON_CONTROL)), st.binary(max_size=20)), max_size=6))
def test_hostile_frames_bring_about_nothing_but_the_error_declared(frames: list[tuple[int, bytes]]) -> None:
    control = begun()
    try:
        for kind, payload in frames:
            if control.begin(kind, len(payload)):
                control.take(kind, payload)
    except ProtocolError as error:
        assert_known(error)


def assert_known(error: ProtocolError) -> None:
    assert error.code in codes.ERROR_NAMES
