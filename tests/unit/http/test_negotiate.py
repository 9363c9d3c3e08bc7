"""Accept-Encoding: weights, wildcards and refusals, and the form that goes into cache keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.negotiate import accepted_encodings, normalize_encoding, normalize_weights


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "identity"),
        (b"", "identity"),
        (b"gzip", "gzip identity"),
        (b"x-gzip", "gzip identity"),
        (b"GZip", "gzip identity"),
        (b"gzip, deflate, br, zstd", "br zstd gzip identity"),
        (b"gzip;q=1.0, br;q=0.5", "gzip br identity"),
        (b"gzip ; q=0.8 , br ;q=0.9", "br gzip identity"),
        (b"gzip;q=0.001", "gzip identity"),
        (b"gzip;q=0", "identity"),
        (b"gzip;q=0.000, br", "br identity"),
        (b"identity", "identity"),
        (b"identity;q=0, gzip", "gzip"),
        (b"identity;q=0", ""),
        (b"identity;q=1, gzip;q=0.5", "identity gzip"),
        (b"identity, gzip", "gzip identity"),
        (b"*", "br zstd gzip identity"),
        (b"*;q=0", ""),
        (b"*;q=0, gzip", "gzip"),
        (b"*;q=0, identity;q=0.2", "identity"),
        (b"*;q=0.5, gzip", "gzip br zstd identity"),
        (b"*, br;q=0", "zstd gzip identity"),
        (b"deflate, compress", "identity"),
        (b"not-gzip, gzipped", "identity"),
        (b"br;q=2, gzip", "gzip identity"),
        (b"br;q=0.1234, gzip", "gzip identity"),
        (b"br;q=, gzip;level=9, zstd", "zstd identity"),
        (b"br gzip", "identity"),
        (b",, gzip ,", "gzip identity"),
    ],
)
def test_codings_are_ordered_by_weight_then_by_preference(value: bytes | None, expected: str) -> None:
    assert b" ".join(accepted_encodings(value)).decode() == expected


@pytest.mark.parametrize("value", [b"gzip, deflate, br", b"br,gzip,deflate", b"deflate ;q=1, GZIP, br;q=1.0"])
def test_equal_preferences_have_one_cache_key(value: bytes) -> None:
    assert normalize_encoding(value) == b"br,gzip,identity,deflate"


def test_clients_that_accept_different_codings_never_share_a_key() -> None:
    values = [
        None,
        b"gzip",
        b"br",
        b"gzip, br",
        b"gzip, br;q=0.5",
        b"gzip, deflate",
        b"gzip, identity;q=0",
        b"*",
        b"dcz",
    ]
    assert len({normalize_encoding(value) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        (b"en, de", b"de,en"),
        (b"DE,eN", b"de,en"),
        (b"fr;q=0.5, de;q=1.0, en ; q=0.50", b"de,en;q=0.5,fr;q=0.5"),
        (b"text/html;level=1;q=0.3, */*;q=0", b"text/html;level=1;q=0.3,*/*;q=0"),
        (b"text/html, text/html", b"text/html"),
        (b"en;q=2", b"en;q=2"),
        (b'a;b="x, y", c', b'a;b="x, y", c'),
        (b"", b""),
        (b"en" + b" " * 300 + b", de", b"de,en"),
    ],
)
def test_weighted_lists_have_one_form(value: bytes, canonical: bytes) -> None:
    assert normalize_weights(value) == canonical
    assert normalize_weights(canonical) == canonical


def test_long_values_are_parsed_like_short_ones() -> None:
    assert accepted_encodings(b"gzip" + b" " * 300 + b", br") == (b"br", b"gzip", b"identity")
    assert normalize_encoding(b"gzip" + b" " * 300) == normalize_encoding(b"gzip")


@given(st.binary(max_size=60))
def test_no_input_raises_and_identity_goes_only_when_refused(value: bytes) -> None:
    accepted = accepted_encodings(value)
    assert len(set(accepted)) == len(accepted)
    if b"q=0" not in value.lower():
        assert b"identity" in accepted
