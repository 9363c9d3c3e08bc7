"""A JSON object with bytes behind it: where one ends, and what is no JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.oip.envelope import LENGTH, json_size, pack, read_json, unpack, write_json
from edgeproxy.tensors import TensorError


def test_without_the_field_all_of_a_body_is_json() -> None:
    head, rest = unpack({}, b'{"id":"1"}')
    assert head == {"id": "1"}
    assert not len(rest)


def test_the_field_says_where_the_json_ends() -> None:
    head, rest = unpack({LENGTH: b"2"}, b"{}\x00\x01")
    assert (head, bytes(rest)) == ({}, b"\x00\x01")


def test_what_is_packed_is_unpacked() -> None:
    fields, body = pack({"id": "é"}, [memoryview(b"ab"), memoryview(b"c")])
    assert fields[b"content-type"] == b"application/octet-stream"
    head, rest = unpack(fields, body)
    assert (head, bytes(rest)) == ({"id": "é"}, b"abc")


def test_without_bytes_it_is_json_alone() -> None:
    assert pack({"a": 1}, []) == ({b"content-type": b"application/json"}, b'{"a":1}')


@pytest.mark.parametrize("told", [b"3", b"-1", b"+1", b"1.0", b" 1", b"0x1", b"", b"9" * 5000, b"\xd9\xa1"])
def test_a_length_that_cannot_be_right_is_refused(told: bytes) -> None:
    with pytest.raises(TensorError, match="Inference-Header-Content-Length"):
        json_size({LENGTH: told}, 2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "cannot be read: Expecting value at character 0"),
        (b'{"a":', "cannot be read"),
        (b'{"a":NaN}', "a number that is none"),
        (b'{"a":-Infinity}', "a number that is none"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' + b"1" * 10_000 + b"}", "too long"),
        (b'{"a":"\xff"}', "UTF-8"),
        (b"[1]", "no object"),
        (b"1", "no object"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_json_object_is_refused_with_the_reason(text: bytes, why: str) -> None:
    with pytest.raises(TensorError, match=why):
        read_json(text)


def test_json_is_never_written_with_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json({"a": float("nan")})


@given(st.dictionaries(st.just(LENGTH), st.binary(max_size=6)), st.binary(max_size=60))
def test_bytes_of_strangers_raise_nothing_else(fields: dict[bytes, bytes], body: bytes) -> None:
    try:
        unpack(fields, body)
    except TensorError:
        pass
