"""Use-As-Dictionary and Available-Dictionary, as RFC 9842 §2 has them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.compression.offers import Offer, parse_digest, parse_offer

DIGEST = bytes(range(32))
FIELD = b":" + base64.b64encode(DIGEST) + b":"


@pytest.mark.parametrize(
    ("field", "offer"),
    [
        (b'match="/a"', Offer("/a")),
        (b'match="/product/*", match-dest=("document")', Offer("/product/*", ("document",))),
        (b'match-dest=("script" ""), id="v1", match="/a", type=raw, ttl=5', Offer("/a", ("script", ""))),
        (b'match="/a", match-dest=()', Offer("/a")),
        (b'match="/a", id="' + b"x" * 1024 + b'"', Offer("/a")),
    ],
)
def test_what_an_answer_offers(field: bytes, offer: Offer) -> None:
    assert parse_offer(field) == offer


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"match",
        b"match=/a",
        b'match=("/a")',
        b'match="/a", type=zip',
        b'match="/a", type="raw"',
        b'match="/a", match-dest="script"',
        b'match="/a", match-dest=(script)',
        b'match="/a", match-dest=(' + b' "x"' * 33 + b")",
        b'match="/a", id=5',
        b'match="/a", id="' + b"x" * 1025 + b'"',
        b'match="/a',
        b'id="x"',
    ],
)
def test_what_is_no_offer(field: bytes) -> None:
    assert parse_offer(field) is None


def test_an_offer_is_written_as_it_is_read() -> None:
    for offer in (Offer("/a"), Offer("/assets/app.*.js", ("script", "worker")), Offer('/"\\')):
        assert parse_offer(offer.field()) == offer


def test_the_digest_a_client_names() -> None:
    assert parse_digest(FIELD) == DIGEST
    assert parse_digest(FIELD + b";x=1") == DIGEST


@pytest.mark.parametrize(
    "field", [b"", b"x", FIELD[1:-1], FIELD + b", " + FIELD, b":AAAA:", b"(" + FIELD + b")", b'"a"', b":A:"]
)
def test_what_names_none(field: bytes) -> None:
    assert parse_digest(field) == b""


@given(st.binary(max_size=80))
def test_no_field_is_a_surprise(field: bytes) -> None:
    parse_digest(field)
    parse_offer(field)
    parse_offer(b'match="/a", ' + field)
