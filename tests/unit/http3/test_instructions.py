"""What comes on QPACK's streams where there is no table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http3 import codes
from edgeproxy.http3.codes import ProtocolError
from edgeproxy.http3.instructions import Cancellations, take_encoder


@pytest.mark.parametrize("data", [b"\x21", b"\x3f\xe1\x1f", b"\x41a\x01b", b"\xc0\x01b", b"\x00", b"\x20\x20\x00"])
def test_an_instruction_for_a_table_ends_the_connection(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        take_encoder(data)
    assert caught.value.code == codes.QPACK_ENCODER_STREAM_ERROR


def test_a_table_of_nothing_may_be_asked_for() -> None:
    take_encoder(b"")
    take_encoder(b"\x20\x20")


@pytest.mark.parametrize("data", [b"\x80", b"\x00", b"\x01", b"\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_an_acknowledgement_of_nothing_ends_the_connection(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        Cancellations().take(data)
    assert caught.value.code == codes.QPACK_DECODER_STREAM_ERROR


def test_cancellations_are_taken_in_whatever_pieces() -> None:
    cancellations = Cancellations()
    for byte in b"\x40\x7f\x81\x01\x44":
        cancellations.take(bytes((byte,)))
    assert repr(cancellations) == "<Cancellations>"


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_hostile_bytes_bring_about_nothing_but_the_errors_declared(pieces: list[bytes]) -> None:
    cancellations = Cancellations()
    try:
        for piece in pieces:
            cancellations.take(piece)
            take_encoder(piece)
    except ProtocolError:
        pass
