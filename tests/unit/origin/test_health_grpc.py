from __future__ import annotations

import pytest

from edgeproxy.origin.health_grpc import question, serves


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("", b"\0\0\0\0\0"),
        ("a", b"\0\0\0\0\x03\x0a\x01a"),
        ("é", b"\0\0\0\0\x04\x0a\x02\xc3\xa9"),
        ("s" * 200, b"\0\0\0\0\xcb\x0a\xc8\x01" + b"s" * 200),
        ("€" * 200, b"\0\0\0\x02\x5b\x0a\xd8\x04" + "€".encode() * 200),
    ],
)
def test_the_question(service, message):
    assert question(service) == message


def test_the_one_answer_that_passes():
    assert serves(b"\0\0\0\0\2\x08\x01")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0\0\0\0",  # UNKNOWN
        b"\0\0\0\0\2\x08\x02",  # NOT_SERVING
        b"\1\0\0\0\2\x08\x01",  # compressed, which was not asked for
        b"\0\0\0\0\3\x08\x01",
        b"\0\0\0\0\2\x08\x01\0",
        b"\x08\x01",
    ],
)
def test_no_other_does(answer):
    assert not serves(answer)
