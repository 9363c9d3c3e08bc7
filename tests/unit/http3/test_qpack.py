"""Field sections as we write them, read by qh3's decoder, which has no table to help it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qh3._hazmat import DecoderStreamError, QpackDecoder, QpackEncoder

from edgeproxy.http3 import qpack
from edgeproxy.http3.static_table import STATIC

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=90).map(str.encode)


def read(section: bytes) -> list[tuple[bytes, bytes]]:
    fields: list[tuple[bytes, bytes]] = QpackDecoder(0, 0).feed_header(0, section)[1]
    return fields


TEXT = st.text(max_size=200).map(str.encode)
FIELDS = st.lists(st.tuples(st.sampled_from([name for name, _ in STATIC]) | NAMES, TEXT), min_size=1)


@given(FIELDS)
def test_what_is_written_is_read(fields: list[tuple[bytes, bytes]]) -> None:
    assert read(qpack.encode(fields)) == fields


@given(st.lists(st.tuples(NAMES, st.binary(max_size=200))))
def test_what_is_written_is_read_by_us_too_whatever_bytes_it_has(fields: list[tuple[bytes, bytes]]) -> None:
    assert qpack.decode(qpack.encode(fields)) == fields


@given(FIELDS)
def test_we_read_what_another_encoder_writes(fields: list[tuple[bytes, bytes]]) -> None:
    assert qpack.decode(QpackEncoder().encode(0, fields)[1]) == fields


@given(st.binary(max_size=60))
def test_what_we_read_of_hostile_bytes_another_decoder_reads_too(data: bytes) -> None:
    ours = qpack.decode(qpack.BEGINNING + data)
    if ours:
        try:
            assert read(qpack.BEGINNING + data) == ours
        except DecoderStreamError:
            assert any(not _is_text(name) or not _is_text(value) for name, value in ours)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("field", STATIC, ids=lambda field: field[0].decode())
def test_a_field_of_the_static_table_is_its_number(field: tuple[bytes, bytes]) -> None:
    section = qpack.encode([field])
    assert read(section) == [field]
    assert len(section) <= 4 or not field[1]


@pytest.mark.parametrize(
    ("name", "first"),
    [(b"x-own", 0x20), (b"set-cookie", 0x70), (b"etag", 0x50), (b"proxy-authorization", 0x30)],
)
def test_secrets_are_to_be_kept_out_of_every_table(name: bytes, first: int) -> None:
    assert qpack.line(name, b"value")[0] & 0xF0 == first & 0xF0


def test_lines_may_be_joined() -> None:
    assert qpack.encode([(b"a", b"b"), (b"c", b"d")]) == qpack.BEGINNING + qpack.line(b"a", b"b") + qpack.line(
        b"c", b"d"
    )


def test_what_is_remembered_of_names_is_bounded() -> None:
    for number in range(qpack.PREFIXES_KEPT + 10):
        qpack.line(b"x-%d" % number, b"")
    assert len(qpack._prefixes) <= qpack.PREFIXES_KEPT
