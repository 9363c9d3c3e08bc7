"""JA4: published fingerprints, GREASE, hellos in pieces, and what is no hello."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.tls.client_hello import LONGEST, HelloError, Offer, fingerprint, fingerprint_quic, offer

CHROME_CIPHERS = [
    *(0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014),
    *(0x009C, 0x009D, 0x002F, 0x0035),
]
SIGNATURES = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]
H2 = b"\x00\x0c\x02h2\x08http/1.1"


def numbers(values: Sequence[int]) -> bytes:
    return b"".join(struct.pack("!H", value) for value in values)


def sized(data: bytes, width: int = 2) -> bytes:
    return len(data).to_bytes(width, "big") + data


BODIES = {0x000D: sized(numbers(SIGNATURES)), 0x0010: H2, 0x002B: sized(numbers([0x0304, 0x0303]), 1)}


def hello(
    ciphers: Sequence[int] = CHROME_CIPHERS,
    extensions: Sequence[int] | None = (0, 16, 13, 43),
    bodies: dict[int, bytes] | None = None,
    version: int = 0x0303,
) -> bytes:
    """A ClientHello message with these extensions, in this order."""
    known = BODIES | (bodies or {})
    body = struct.pack("!H", version) + bytes(32) + sized(b"s" * 32, 1) + sized(numbers(ciphers)) + b"\x01\x00"
    if extensions is not None:
        body += sized(b"".join(numbers([kind]) + sized(known.get(kind, b"")) for kind in extensions))
    return b"\x01" + sized(body, 3)


def records(message: bytes, size: int = 1 << 14) -> bytes:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + sized(piece) for piece in pieces)


def ja4(message: bytes) -> str:
    found = fingerprint(records(message))
    assert found is not None
    return found


# The one of the specification's own example, and one that a public service told a later Chrome.
PUBLISHED = {
    "t13d1516h2_8daaf6152771_e5627efa2ab1": [
        *(0x001B, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002D, 0x000D, 0x0005, 0x0023, 0x0012, 0x002B, 0xFF01),
        *(0x000B, 0x000A, 0x0015),
    ],
    "t13d1516h2_8daaf6152771_d8a2da3f94cd": [
        *(0x002D, 0x0033, 0x0010, 0xFE0D, 0x0017, 0x44CD, 0x0000, 0x000B, 0x000A, 0x002B, 0xFF01, 0x0023, 0x0012),
        *(0x0005, 0x000D, 0x001B),
    ],
}


@pytest.mark.parametrize("expected", PUBLISHED)
def test_published_fingerprints_come_out(expected: str) -> None:
    assert ja4(hello(extensions=PUBLISHED[expected])) == expected


@pytest.mark.parametrize("expected", PUBLISHED)
def test_order_and_grease_do_not_count(expected: str) -> None:
    greasy = [0x3A3A, *reversed(PUBLISHED[expected]), 0xFAFA]
    bodies = {
        0x002B: sized(numbers([0x7A7A, 0x0304, 0x0303]), 1),
        0x000D: sized(numbers([0x0A0A, *SIGNATURES])),
    }
    assert ja4(hello([0xEAEA, *reversed(CHROME_CIPHERS)], greasy, bodies)) == expected


def test_what_only_looks_like_grease_counts() -> None:
    assert ja4(hello([0x0A1A], [])).startswith("t12i0100")
    assert ja4(hello([0x0A0A], [])).startswith("t12i0000")


def test_the_order_of_signature_algorithms_counts() -> None:
    turned = {0x000D: sized(numbers(SIGNATURES[::-1]))}
    assert ja4(hello(bodies=turned)) != ja4(hello())


@pytest.mark.parametrize(
    ("message", "begins"),
    [
        (hello(extensions=[]), "t12i150000_"),
        (hello(extensions=None), "t12i150000_"),
        (hello(extensions=[16]), "t12i1501h2_"),
        (hello(extensions=[0]), "t12d150100_"),
        (hello(extensions=[43]), "t13i150100_"),
        (hello(version=0x0301, extensions=[]), "t10i150000_"),
        (hello(version=0x0300, extensions=[]), "ts3i150000_"),
        (hello(version=0x7F1C, extensions=[]), "t00i150000_"),
        (hello(range(1, 131), []), "t12i990000_"),
        (hello([], []), "t12i000000_000000000000_000000000000"),
        (hello(extensions=[16], bodies={16: sized(sized(b"h", 1))}), "t12i1501hh_"),
        (hello(extensions=[16], bodies={16: sized(sized(b"\xab", 1))}), "t12i1501ab_"),
        (hello(extensions=[16], bodies={16: sized(sized(b"\x30\xab", 1))}), "t12i15013b_"),
        (hello(extensions=[16], bodies={16: sized(sized(b"\x30\x31\xab\xcd", 1))}), "t12i15013d_"),
        (hello(extensions=[16], bodies={16: sized(sized(b"", 1))}), "t12i150100_"),
    ],
)
def test_the_readable_part(message: bytes, begins: str) -> None:
    assert ja4(message).startswith(begins)


def test_server_name_and_protocols_are_no_part_of_the_hash() -> None:
    assert ja4(hello(extensions=[0, 16, 13, 43]))[-12:] == ja4(hello(extensions=[13, 43]))[-12:]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_hello_in_many_records_is_the_same(size: int) -> None:
    assert fingerprint(records(hello(), size)) == ja4(hello())


def test_every_beginning_wants_more_and_what_follows_does_not_matter() -> None:
    whole = records(hello(), 100)
    assert [fingerprint(whole[:size]) for size in range(len(whole))] == [None] * len(whole)
    assert fingerprint(whole + b"GET / HTTP/1.1") == fingerprint(whole) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x02\x00\x00\x05",
        b"\x17\x03\x03\x00\x05hello",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x40\x01" + b"\x01" * 10,
        records(b"\x02\x00\x00\x00"),
        records(b"\x01\x7f\xff\xff" + bytes(100)),
        records(b"\x01\x00\x00\x03\x03\x03\x00"),
        records(hello(extensions=[16], bodies={16: b"\x00\xff\x02h2"})),
        records(hello(extensions=[13], bodies={13: sized(b"\x04\x03\x08")})),
        records(hello(extensions=[43], bodies={43: b""})),
        b"".join(b"\x16\x03\x01\x00\x01" + piece for piece in [b"\x01", b"\x00", b"\x3f", b"\xf0", *[b"x"] * 5000]),
    ],
)
def test_what_is_no_hello_is_refused(data: bytes) -> None:
    with pytest.raises(HelloError):
        fingerprint(data)


def test_a_hello_that_never_ends_is_given_up_at_the_bound() -> None:
    long = records(b"\x01" + (LONGEST - 4).to_bytes(3, "big") + bytes(LONGEST - 4))
    assert fingerprint(long[: LONGEST - 1]) is None
    with pytest.raises(HelloError):
        fingerprint(long[:LONGEST])


def outcome(data: bytes) -> str | None:
    try:
        return fingerprint(data)
    except HelloError:
        return "refused"


@given(st.binary(max_size=400))
def test_any_bytes_are_a_fingerprint_a_wish_for_more_or_refused(data: bytes) -> None:
    outcome(data)
    outcome(records(b"\x01" + sized(data, 3)))


@given(st.binary(max_size=80), st.integers(0, 200), st.integers(0, 200))
def test_any_damage_is_a_fingerprint_a_wish_for_more_or_refused(junk: bytes, start: int, size: int) -> None:
    message = hello()
    outcome(records(message[:start] + junk + message[start + size :]))


@given(st.lists(st.integers(0, 0xFFFF), max_size=120), st.lists(st.integers(0, 0xFFFF), max_size=120, unique=True))
def test_any_offer_has_a_fingerprint_of_one_form(ciphers: list[int], extensions: list[int]) -> None:
    found = ja4(hello(ciphers, [kind for kind in extensions if kind not in (13, 16, 43)]))
    assert len(found) == 36
    assert (found[3] == "d") == (0 in extensions)


# What is asked for.


def name_list(name: bytes, kind: int = 0) -> bytes:
    return sized(bytes((kind,)) + sized(name))


def test_the_name_and_the_protocols_are_told() -> None:
    message = hello(bodies={0: name_list(b"A.example")})
    assert offer(records(message)) == Offer("a.example", (b"h2", b"http/1.1"))
    assert offer(records(message, 7)) == Offer("a.example", (b"h2", b"http/1.1"))
    assert offer(records(message)[:-1]) is None


def test_what_is_not_asked_for_is_empty() -> None:
    assert offer(records(hello(extensions=(13, 43)))) == Offer("", ())
    assert offer(records(hello(extensions=None))) == Offer("", ())
    assert offer(records(hello(bodies={0: name_list(b"a.example", 7)}))) == Offer("", (b"h2", b"http/1.1"))


@pytest.mark.parametrize("bodies", [{0: b"\x00"}, {0: sized(b"\x00\x00\xffa")}, {16: b"\x00\x05\x09h2"}, {16: b""}])
def test_an_extension_that_ends_too_soon_is_refused(bodies: dict[int, bytes]) -> None:
    with pytest.raises(HelloError):
        offer(records(hello(bodies={0: name_list(b"a.example"), **bodies})))


@given(st.binary(max_size=80), st.integers(0, 200), st.integers(0, 200))
def test_any_damage_is_an_offer_a_wish_for_more_or_refused(junk: bytes, start: int, size: int) -> None:
    whole = records(hello(bodies={0: name_list(b"a.example")}))
    try:
        found = offer(whole[:start] + junk + whole[start + size :])
    except HelloError:
        return
    assert found is None or isinstance(found, Offer)


def test_a_hello_over_quic_differs_by_its_first_letter_alone() -> None:
    over_tcp = fingerprint(records(hello()))
    assert over_tcp is not None
    assert fingerprint_quic(hello()) == "q" + over_tcp[1:]


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: hello()[:50] + rest))
def test_what_is_no_hello_over_quic_has_no_fingerprint(data: bytes) -> None:
    try:
        told = fingerprint_quic(data)
    except HelloError:
        return
    assert told.startswith("q")
