"""HPACK: the examples of RFC 7541, the `hpack` package as an oracle in both ways, and blocks made to harm."""

from __future__ import annotations

import hpack as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.headers import known_name, usual_name
from edgeproxy.http2 import hpack, huffman
from edgeproxy.http2.hpack import Decoder, Field, FieldsTooLarge
from edgeproxy.http2.strings import COMMON, INTEGER_MOST, CompressionError, write_integer

MOST = 65536

NAMES = st.one_of(
    st.sampled_from([b":path", b":method", b"accept", b"cookie", b"authorization", b"x-a", b"x-b"]),
    st.binary(min_size=1, max_size=12),
)
VALUES = st.one_of(st.sampled_from([b"", b"GET", b"/", b"gzip, deflate"]), st.binary(max_size=60))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


def decoder(most: int = MOST) -> Decoder:
    return Decoder(hpack.TABLE, most)


def outcome(reader: Decoder, block: bytes) -> list[Field] | str:
    """The fields, or why there are none."""
    try:
        return list(reader.decode(block))
    except FieldsTooLarge:
        return "too large"
    except CompressionError as error:
        return str(error)


# RFC 7541 Appendix C.

AUTHORITY = (b":authority", b"www.example.com")
GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), AUTHORITY]
REQUESTS = [
    GET,
    [*GET, (b"cache-control", b"no-cache")],
    [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        AUTHORITY,
        (b"custom-key", b"custom-value"),
    ],
]
LOCATION = (b"location", b"https://www.example.com")
FIRST = [(b"cache-control", b"private"), (b"date", b"Mon, 21 Oct 2013 20:13:21 GMT"), LOCATION]
RESPONSES = [
    [(b":status", b"302"), *FIRST],
    [(b":status", b"307"), *FIRST],
    [
        (b":status", b"200"),
        (b"cache-control", b"private"),
        (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
        LOCATION,
        (b"content-encoding", b"gzip"),
        (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ],
]
C3 = (
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
)
C4 = (
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
)
TO_256 = "3fe101"  # the size of the examples' table
C5 = (
    TO_256 + "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
    "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
    "4803333037c1c0bf",
    (
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a6970"
        "7738666f6f3d4153444a4b48514b425a584f5157454f5049554158515745"
        "4f49553b206d61782d6167653d333630303b2076657273696f6e3d31"
    ),
)
C6 = (
    TO_256
    + "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    (
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab"
        "77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
    ),
)


@pytest.mark.parametrize(
    ("block", "field", "kept"),
    [
        ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", (b"custom-key", b"custom-header"), 55),
        ("040c2f73616d706c652f70617468", (b":path", b"/sample/path"), 0),
        ("100870617373776f726406736563726574", (b"password", b"secret"), 0),
        ("82", (b":method", b"GET"), 0),
    ],
)
def test_the_kinds_of_fields(block: str, field: Field, kept: int) -> None:
    reader = decoder()
    assert reader.decode(bytes.fromhex(block)) == [field]
    assert f"{kept} of 4096 bytes" in repr(reader)


@pytest.mark.parametrize(
    ("blocks", "sections", "table"),
    [
        (C3, REQUESTS, "3 fields, 164 of 4096"),
        (C4, REQUESTS, "3 fields, 164 of 4096"),
        (C5, RESPONSES, "3 fields, 215 of 256"),
        (C6, RESPONSES, "3 fields, 215 of 256"),
    ],
)
def test_the_examples_sequences(blocks: tuple[str, ...], sections: list[list[Field]], table: str) -> None:
    reader = decoder()
    assert [reader.decode(bytes.fromhex(block)) for block in blocks] == sections
    assert table in repr(reader)


# The oracle.


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([None, 0, 64, 300, 4096])), max_size=6))
def test_what_another_encoder_says_is_understood(said: list[tuple[list[Field], bool, int | None]]) -> None:
    writer, reader = oracle.Encoder(), decoder()
    for fields, coded, size in said:
        if size is not None:
            writer.header_table_size = size
        block = writer.encode([(*field, field[0] == b"cookie") for field in fields], huffman=coded)
        assert reader.decode(block) == fields
        assert reader.decode(bytes.fromhex("82")) == [(b":method", b"GET")]


@given(FIELDS)
def test_what_is_encoded_is_understood_by_another_decoder_and_enters_no_table(fields: list[Field]) -> None:
    for block in (hpack.encode(fields), b"".join([hpack.packed(*field) for field in fields])):
        reader = oracle.Decoder()
        assert reader.decode(block, raw=True) == fields
        assert len(reader.header_table.dynamic_entries) == 0
        assert decoder().decode(block) == fields


PIECES = st.one_of(
    st.binary(max_size=12),
    st.builds(lambda fields: oracle.Encoder().encode(fields), FIELDS),
    st.sampled_from(
        [bytes.fromhex(text) for text in ("be", "3fe11f", "20", "ff00", "7f00", "400161ffffffffff7f", "80")]
    ),
)


@given(st.lists(st.lists(PIECES, max_size=6).map(b"".join), max_size=4))
def test_any_bytes_are_fields_or_the_same_error_another_decoder_finds(blocks: list[bytes]) -> None:
    ours, theirs = decoder(MOST), oracle.Decoder(max_header_list_size=MOST)
    for block in blocks:
        came = outcome(ours, block)
        try:
            expected = list(theirs.decode(block, raw=True))
        except oracle.HPACKError:
            assert isinstance(came, str)
            return
        assert came in (expected, "an integer too large")
        if came != expected:
            return


# Blocks made to harm.


@pytest.mark.parametrize(
    "block",
    [
        "80",  # RFC 7541 §6.1: 0
        "be",  # beyond the static table, with nothing in the other
        "ff808080808000",  # a number that does not end
        "ffffffffff7f",  # a number beyond all
        "7f07 00",  # a name beyond the tables
        "4001",  # half a name
        "400161",  # a name without its value
        "400161ff",  # half a length
        "4001610562",  # a value beyond the block
        "400161ffffffff0f",  # a value of 4 GB
        "40016183495090",  # padding of zeros
        "8221026162",  # a table's size behind a field
        "3fe21f",  # a table larger than announced
        "3f",  # half a size
    ],
)
def test_what_cannot_be_decoded_is_refused(block: str) -> None:
    with pytest.raises(CompressionError):
        decoder().decode(bytes.fromhex(block))


def test_an_integer_is_at_most_two_to_the_31st() -> None:
    for number, fault in ((INTEGER_MOST, "unknown field number"), (INTEGER_MOST + 1, "integer too large")):
        with pytest.raises(CompressionError, match=fault):
            decoder().decode(write_integer(0x80, 0x7F, number))


def test_a_table_may_be_as_large_as_announced_and_no_larger() -> None:
    reader = Decoder(8192, MOST)
    assert reader.decode(write_integer(0x20, 0x1F, 8192)) == []
    assert "of 8192 bytes" in repr(reader)
    with pytest.raises(CompressionError, match="larger than announced"):
        reader.decode(write_integer(0x20, 0x1F, 8193))


def test_a_peer_may_use_4096_bytes_before_it_has_heard_of_less() -> None:
    reader = Decoder(0, MOST)
    assert reader.decode(bytes.fromhex("400161016282")) == [(b"a", b"b"), (b":method", b"GET")]
    assert reader.decode(bytes.fromhex("be")) == [(b"a", b"b")]


def test_a_table_made_smaller_forgets_the_oldest() -> None:
    reader = decoder()
    reader.decode(b"".join([b"\x40\x01%c\x01b" % name for name in b"xyz"]))  # of 34 bytes each
    assert reader.decode(write_integer(0x20, 0x1F, 68) + b"\xbe\xbf") == [(b"z", b"b"), (b"y", b"b")]
    with pytest.raises(CompressionError, match="unknown field number"):
        reader.decode(b"\xc0")


def test_a_field_larger_than_the_table_empties_it() -> None:
    reader = decoder()
    large = (b"a", b"b" * 4096)
    assert reader.decode(b"\x40\x01x\x01y" + b"\x40" + hpack.line(*large)[1:]) == [(b"x", b"y"), large]
    assert "0 fields, 0 of" in repr(reader)


def test_a_remembered_block_means_what_its_numbers_mean_now() -> None:
    reader = decoder()
    reader.decode(b"\x40\x01x\x01y")
    assert reader.decode(b"\xbe") == [(b"x", b"y")]
    assert reader.decode(b"\xbe") is reader.decode(b"\xbe")
    reader.decode(b"\x40\x01z\x01w")
    assert reader.decode(b"\xbe") == [(b"z", b"w")]
    reader.decode(b"\x20")  # an empty table
    with pytest.raises(CompressionError):
        reader.decode(b"\xbe")


def test_a_section_counts_32_bytes_for_each_field() -> None:
    block = hpack.encode([(b"name", b"value")] * 10)  # RFC 9113 §6.5.2
    assert len(decoder(410).decode(block)) == 10
    with pytest.raises(FieldsTooLarge):
        decoder(409).decode(block)


def test_after_a_section_too_large_the_table_is_as_the_peer_has_it() -> None:
    writer, reader = oracle.Encoder(), decoder(1000)
    large = [(b"x-%d" % number, b"v" * 100) for number in range(12)]
    with pytest.raises(FieldsTooLarge):
        reader.decode(writer.encode(large))
    for number in (0, 5, 11):
        field = (b"x-%d" % number, b"v" * 100)
        block = writer.encode([field])
        assert len(block) == 1  # a number
        assert reader.decode(block) == [field]


def test_a_bomb_is_read_no_further_than_four_times_what_is_borne() -> None:
    reader = decoder(8000)
    reader.decode(b"\x40\x01x" + write_integer(0, 0x7F, 4000) + b"y" * 4000)
    with pytest.raises(FieldsTooLarge):
        reader.decode(b"\xbe" * 7)
    # The eighth reference is beyond; what follows it would be an error of another kind.
    with pytest.raises(CompressionError, match="beyond all measure"):
        reader.decode(b"\xbe" * 8 + b"\x80" * 16_000)


def test_secrets_are_kept_out_of_every_table_and_of_what_is_remembered() -> None:
    for name in (b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"):
        secret = b"secret of " + name
        for line in (hpack.line(name, secret), hpack.packed(name, secret)):
            assert line[0] & 0xF0 == 0x10  # RFC 7541 §6.2.3
            assert decoder().decode(line) == [(name, secret)]
        assert (name, secret) not in hpack._lines
        assert secret not in COMMON._known.values()
    value = b"no secret at all"
    decoder().decode(hpack.packed(b"x-a", value))
    assert COMMON._known[huffman.encode(value)] == value


def test_names_are_the_objects_fields_are_looked_up_with_and_capitals_stay() -> None:
    (name, _), (capital, _) = decoder().decode(b"\x00\x06accept\x00" + b"\x00\x06Accept\x00")
    assert name is usual_name(b"accept")
    assert capital == b"Accept"


@pytest.mark.parametrize("name", [b"", b"transfer-encoding ", b"a b", b":authority"])
def test_what_is_no_name_is_not_taken_for_one_elsewhere(name: bytes) -> None:
    assert Decoder(4096, 16_000).decode(b"\x00%c%b\x01x" % (len(name), name)) == [(name, b"x")]
    assert known_name(name) is None


def test_a_packed_line_is_the_shortest() -> None:
    assert hpack.packed(b":status", b"200") == b"\x88"
    value = b"max-age=3600"
    assert len(hpack.packed(b"cache-control", value)) < len(hpack.line(b"cache-control", value))
    assert hpack.packed(b"etag", b'"\\\\"') == hpack.line(b"etag", b'"\\\\"')  # longer in Huffman code
