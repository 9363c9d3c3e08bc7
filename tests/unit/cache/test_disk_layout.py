"""Keys, bounds and costs of what lies in L2."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache.disk_layout import (
    CHUNK,
    LONGEST,
    PAGE,
    PIECE,
    SELECTORS,
    VARIANT,
    body_cost,
    chunk_cost,
    digest_of,
    head_cost,
    is_sound,
    piece_key,
    pieces_of,
    place,
    tag_of,
    variant_of,
)

LMDB_KEY = 511  # bytes, in a build with its defaults
KEYS = st.one_of(
    st.binary(max_size=40), st.builds(lambda text, n: (text or b"x") * n, st.binary(max_size=9), st.integers(0, 90))
)


@given(KEYS, KEYS)
def test_no_two_keys_have_one_place(one: bytes, other: bytes) -> None:
    assert (place(one) == place(other)) is (one == other)


@given(st.binary(max_size=1_500), st.binary(max_size=300))
def test_whatever_the_key_lmdb_takes_its_place_and_its_heads(key: bytes, variant: bytes) -> None:
    assert len(place(key) + variant_of(variant)) <= LMDB_KEY
    assert len(tag_of(key)) <= LMDB_KEY
    assert place(key).startswith(key[:LONGEST])


def test_variants_and_tags_are_told_apart() -> None:
    assert len({variant_of(variant) for variant in (b"", b"a", b"b")}) == 3
    assert all(len(variant_of(variant)) == VARIANT for variant in (b"", b"a" * 500))
    assert tag_of(b"t" * 500) != tag_of(b"t" * 501)


def test_a_chunk_is_whole_pages() -> None:
    assert PIECE + 16 == PAGE
    assert pieces_of(CHUNK) * PIECE == CHUNK < 2**20
    assert [pieces_of(size) for size in (1, PIECE, PIECE + 1)] == [1, 1, 2]
    assert len(piece_key(bytes(32), pieces_of(CHUNK) - 1)) == 33


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_chunk_of_which_a_bit_has_changed_is_not_sound(chunk: bytes, data: st.DataObject) -> None:
    digest = digest_of(chunk)
    assert len(digest) == 32
    assert is_sound(chunk, digest)
    bit = data.draw(st.integers(0, 8 * len(chunk) - 1))
    changed = (int.from_bytes(chunk, "big") ^ (1 << bit)).to_bytes(len(chunk), "big")
    assert not is_sound(changed, digest)
    assert digest_of(changed)[:24] != digest[:24]


@given(st.integers(1, 5 * CHUNK))
def test_costs_are_no_less_than_the_bytes_and_not_much_more(size: int) -> None:
    assert size < body_cost(size, CHUNK) < 1.6 * size + 4 * PAGE
    assert body_cost(size, CHUNK) >= chunk_cost(min(size, CHUNK))


def test_a_head_costs_what_its_rows_cost() -> None:
    bare = head_cost(b"h" * 100, 500, ())
    assert bare > 600
    assert head_cost(b"h" * 100, 500, (b"t" * 50,)) > bare + 150


def test_names_of_fields_select_variants() -> None:
    assert SELECTORS[b""]({b"accept": b"a"}) == b""
    assert SELECTORS[b"accept,x-b"]({b"accept": b"a"}) == b"=a\n-"
