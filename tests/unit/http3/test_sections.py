"""QPACK's way in: sections that wait, sections that are too large, and streams that say what makes no sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qh3._hazmat import QpackEncoder

from edgeproxy.http3 import codes, qpack
from edgeproxy.http3.codes import ProtocolError, TooLargeError
from edgeproxy.http3.sections import BLOCKED, TABLE, Sections

FIELDS = [(b":method", b"GET"), (b"x-own", b"value" * 5)]


@pytest.fixture
def sections() -> Sections:
    return Sections(2_000)


def test_a_peer_that_uses_the_table_is_read_and_told(sections: Sections) -> None:
    encoder = QpackEncoder()
    sections.feed(encoder.apply_settings(TABLE, TABLE, BLOCKED))
    for number in range(4):
        stream, block = encoder.encode(4 * number, FIELDS)
        if stream:
            sections.feed(stream)
        assert sections.read(4 * number, block) == FIELDS
    assert sections.told, "acknowledgements"


def blocked(sections: Sections, stream: int) -> None:
    assert sections.read(stream, b"\x02\x00\x80") is None


def test_a_section_waits_for_the_table(sections: Sections) -> None:
    sections.feed(b"\x3f\xe1\x1f")
    blocked(sections, 0)
    assert repr(sections) == "<Sections 1 waiting>"
    assert sections.feed(b"\x41a\x01b") == [(0, [(b"a", b"b")])]


def test_one_that_nobody_wants_any_more_takes_no_place(sections: Sections) -> None:
    sections.feed(b"\x3f\xe1\x1f")
    blocked(sections, 0)
    sections.forget(0)
    assert sections.feed(b"\x41a\x01b") == []
    assert repr(sections) == "<Sections 0 waiting>"


def test_more_than_were_offered_to_wait_end_the_connection(sections: Sections) -> None:
    sections.feed(b"\x3f\xe1\x1f")
    for number in range(BLOCKED):
        blocked(sections, 4 * number)
    with pytest.raises(ProtocolError) as caught:
        sections.read(4 * BLOCKED, b"\x02\x00\x80")
    assert caught.value.code == codes.QPACK_DECOMPRESSION_FAILED


def test_a_section_that_is_too_large_harms_no_other(sections: Sections) -> None:
    with pytest.raises(TooLargeError):
        sections.read(0, qpack.encode([(b"a", b"b" * 3_000)]))
    assert sections.read(4, qpack.encode(FIELDS)) == FIELDS


def test_values_need_be_no_utf_8(sections: Sections) -> None:
    fields = [(b":method", b"GET"), (b"x-latin", b"caf\xe9")]
    assert sections.read(0, qpack.encode(fields)) == fields
    with pytest.raises(TooLargeError):
        sections.read(4, qpack.encode([*fields, (b"a", b"\xe9" * 3_000)]))


@pytest.mark.parametrize("data", [b"\x80", b"\x00", b"\x01", b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_an_acknowledgement_of_nothing_ends_the_connection(sections: Sections, data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        sections.acknowledged(data)
    assert caught.value.code == codes.QPACK_DECODER_STREAM_ERROR


def test_cancellations_are_taken_in_whatever_pieces(sections: Sections) -> None:
    for byte in b"\x40\x7f\x81\x01\x44":
        sections.acknowledged(bytes((byte,)))


@given(st.lists(st.tuples(st.sampled_from(("read", "feed", "acknowledged")), st.binary(max_size=60)), max_size=12))
def test_hostile_bytes_bring_about_nothing_but_the_errors_declared(steps: list[tuple[str, bytes]]) -> None:
    sections = Sections(2_000)
    try:
        for number, (what, data) in enumerate(steps):
            if what == "read":
                sections.read(4 * number, data)
            else:
                getattr(sections, what)(data)
    except (ProtocolError, TooLargeError):
        pass
