"""Words for endpoints."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.origin.sticky import LONGEST, Words

SECRET, OTHER = b"s" * 32, b"t" * 32
ADDRESSES = (b"127.0.0.1:8080", b"[2001:db8::7]:443", b"unix:/run/app/socket", b"")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_word_is_read_back_by_every_node_with_the_secret(address: bytes) -> None:
    word = Words(SECRET).of(address)
    assert Words(SECRET).read(word) == address
    assert word == Words(SECRET).of(address)
    assert Words(OTHER).read(word) == b""


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_word_may_stand_in_a_cookie_and_shows_no_address(address: bytes) -> None:
    word = Words(SECRET).of(address)
    assert re.fullmatch(rb"1\.[A-Za-z0-9_-]{22,200}", word)
    assert not address or address not in word


def test_a_word_that_was_changed_is_none() -> None:
    words = Words(SECRET)
    word = words.of(b"127.0.0.1:8080")
    for place in range(len(word) - 1):  # the last character has bits to spare
        changed = word[:place] + (b"A" if word[place : place + 1] != b"A" else b"B") + word[place + 1 :]
        assert words.read(changed) == b""
    assert words.read(word[:-4]) == words.read(word + b"AAAA") == b""


@given(st.one_of(st.binary(max_size=2 * LONGEST), st.from_regex(rb"1\.[A-Za-z0-9_-]{0,80}", fullmatch=True)))
def test_what_nobody_made_is_no_word(told: bytes) -> None:
    assert Words(SECRET).read(told) == b""


def test_what_is_remembered_has_a_bound() -> None:
    words = Words(SECRET)
    for number in range(9_000):
        words.read(b"1.%d" % number)
    assert len(words._read) <= 8_192
