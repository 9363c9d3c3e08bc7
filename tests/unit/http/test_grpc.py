from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http import grpc


@pytest.mark.parametrize("told", [b"application/grpc", b"application/grpc+proto", b"Application/GRPC; a=b"])
def test_what_is_a_call(told):
    assert grpc.is_grpc({b"content-type": told})


@pytest.mark.parametrize(
    "told", [b"application/grpc-web", b"application/grpcx", b"text/plain", b"application/grp", b""]
)
def test_what_is_none(told):
    assert not grpc.is_grpc({b"content-type": told})


def test_without_a_type_it_is_none():
    assert not grpc.is_grpc({})


@pytest.mark.parametrize(
    ("told", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"250m", 0.25), (b"99999999u", 99.999999), (b"5n", 5e-9), (b"0S", 0)],
)
def test_a_deadline(told, seconds):
    assert grpc.deadline({b"grpc-timeout": told}) == pytest.approx(seconds)


@pytest.mark.parametrize("told", [b"", b"1", b"S", b"-1S", b"1.5S", b"1s", b"123456789S", b" 1S", b"1S "])
def test_what_cannot_be_understood_is_no_deadline(told):
    assert grpc.deadline({b"grpc-timeout": told}) is None


@given(st.floats(0, 1e9))
def test_a_deadline_that_is_written_is_read_again_and_no_later(seconds):
    again = grpc.deadline({b"grpc-timeout": grpc.timeout(seconds)})
    assert again is not None
    assert again <= seconds + 1e-9
    assert again >= min(seconds, 99_999_999) * 0.999 - 1e-6 or seconds - again < 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 13),
        (401, 16),
        (403, 7),
        (404, 12),
        (429, 14),
        (502, 14),
        (503, 14),
        (504, 14),
        (301, 2),
        (500, 2),
        (418, 2),
    ],
)
def test_the_code_for_a_status(status, code):
    assert grpc.status_of(status) == code


def test_a_refusal_escapes_its_message():
    fields = grpc.refusal(14, "100 % für\n".encode())
    assert fields == {
        b"content-type": b"application/grpc",
        b"grpc-status": b"14",
        b"grpc-message": b"100 %25 f%C3%BCr%0A",
    }


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (None, ""),
        ({}, ""),
        ({b"grpc-status": b"0"}, "0"),
        ({b"grpc-status": b"x"}, ""),
        ({b"grpc-status": b"9" * 9}, ""),
    ],
)
def test_what_a_call_ended_with(fields, status):
    assert grpc.ended_with(fields) == status
