"""Field sections as we write and read them, beside qh3's and ls-qpack's, which have no table to help them either."""

from __future__ import annotations

import pylsqpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qh3._hazmat import QpackDecoder, QpackEncoder

from edgeproxy.http.headers import usual_name
from edgeproxy.http2 import huffman
from edgeproxy.http2.strings import COMMON, SECRET, write_integer
from edgeproxy.http3 import codes, qpack
from edgeproxy.http3.codes import ProtocolError, TooLargeError
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


def decoded(section: bytes, most: int = 1 << 20) -> list[tuple[bytes, bytes]]:
    return qpack.Decoder(most).decode(section)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=200))))
def test_what_is_written_is_read_by_us_too_whatever_bytes_it_has(fields: list[tuple[bytes, bytes]]) -> None:
    assert decoded(qpack.encode(fields)) == fields


@given(FIELDS)
def test_we_read_what_other_encoders_write(fields: list[tuple[bytes, bytes]]) -> None:
    assert decoded(QpackEncoder().encode(0, fields)[1]) == fields
    encoder = pylsqpack.Encoder()
    encoder.apply_settings(0, 0)
    assert decoded(encoder.encode(0, fields)[1]) == fields


HOSTILE = st.one_of(
    st.binary(min_size=1, max_size=60),  # ls-qpack takes no section without lines
    st.lists(
        st.sampled_from(
            [b"\xc1", b"\xff", b"\x5f", b"\x51", b"\x71", b"\x27", b"\x2b", b"\x33", b"\x01a", b"\x83", b"\x7f"]
        )
        | st.binary(max_size=3),
        min_size=1,
        max_size=12,
    )
    .map(b"".join)
    .filter(bool),
)


@given(HOSTILE)
def test_hostile_bytes_are_the_fields_that_another_decoder_reads_or_an_error_of_both(data: bytes) -> None:
    section = qpack.BEGINNING + data
    try:
        ours = decoded(section)
    except ProtocolError:
        with pytest.raises(pylsqpack.DecompressionFailed):
            pylsqpack.Decoder(0, 0).feed_header(0, section)
        return
    assert pylsqpack.Decoder(0, 0).feed_header(0, section)[1] == ours


@given(st.binary(max_size=60))
def test_hostile_sections_bring_about_nothing_but_the_errors_declared(section: bytes) -> None:
    try:
        decoded(section, 200)
    except (ProtocolError, TooLargeError):
        pass


@pytest.mark.parametrize(
    "section",
    [
        b"",
        b"\0",
        b"\0\x7f",
        b"\2\0\x80",  # a line of the dynamic table
        b"\2\0",
        b"\0\x80\xc1",  # counts from below zero (RFC 9204 §4.5.1.2)
        b"\0\0\x80",
        b"\0\0\x10",
        b"\0\0\x40\0",
        b"\0\0\0\0",
        b"\0\0\xff\x24",  # 99, the first beyond the static table
        b"\0\0\x5f\x54\0",
        b"\0\0\xff\x80\x80\x80\x80\x80\x80\x01",
        b"\0\0\x23ab",
        b"\0\0\x2b\0\0\0\0",
        b"\0\0\x51\x05abc",
        b"\0\0\x51\x83\0\0\0",
        b"\0\0\x51",
    ],
)
def test_what_cannot_be_read_ends_the_connection(section: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        decoded(section)
    assert caught.value.code == codes.QPACK_DECOMPRESSION_FAILED


def test_what_a_section_counts_from_is_no_matter_where_nothing_refers_to_it() -> None:
    assert decoded(b"\0\x05\xd1") == decoded(b"\0\x7f\x81\x01\xd1") == [(b":method", b"GET")]


def test_a_section_counts_32_bytes_for_each_line() -> None:
    section = qpack.encode([(b"name", b"value")] * 9 + [(b":method", b"GET")])
    assert len(decoded(section, 9 * 41 + 42)) == 10
    with pytest.raises(TooLargeError):
        decoded(section, 9 * 41 + 41)


def test_names_are_the_objects_fields_are_looked_up_with_and_capitals_stay() -> None:
    (name, _), (other, _), (capital, _) = decoded(b"\0\0" + b"\x26accept\0" + b"\x5f\x0e\0" + b"\x26Accept\0")
    assert name is usual_name(b"accept")
    assert other is usual_name(other) == b"accept"
    assert capital == b"Accept"


@pytest.mark.parametrize("name", sorted(SECRET))
def test_a_secret_is_remembered_for_its_own_connection_alone(name: bytes) -> None:
    secret = b"secret of " + name
    section = huffman_coded(name, secret)
    decoder = qpack.Decoder(1_000)
    (first,), (again,) = decoder.decode(section), decoder.decode(section)
    assert first == again == (name, secret)
    assert first[1] is again[1]
    assert secret not in COMMON._known.values()


def test_what_is_never_to_be_put_into_a_table_is_not_remembered_at_all() -> None:
    decoder = qpack.Decoder(1_000)
    for name in (b"cookie", b"x-own", b"etag"):
        section = huffman_coded(name, b"kept out", never=True)
        assert decoder.decode(section) == [(name, b"kept out")]
    assert repr(decoder) == "<Decoder <Texts 0, 0 of 4096 bytes>>"
    assert b"kept out" not in COMMON._known.values()
    decoder.decode(huffman_coded(b"x-own", b"told again"))
    assert b"told again" in COMMON._known.values()


def huffman_coded(name: bytes, value: bytes, *, never: bool = False) -> bytes:
    """A section of one line."""
    index = next((index for index, (known, _) in enumerate(STATIC) if known == name), -1)
    if index >= 0:
        start = write_integer(0x70 if never else 0x50, 0x0F, index)
    else:
        start = write_integer(0x30 if never else 0x20, 0x07, len(name)) + name
    coded = huffman.encode(value)
    return qpack.BEGINNING + start + write_integer(0x80, 0x7F, len(coded)) + coded


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
