"""Field lines that were read before are remembered, within bounds, and only as they may be."""

from __future__ import annotations

import pytest

from edgeproxy.http.headers import lower_name
from edgeproxy.http.lines import LINE_LONGEST, LINES_KEPT, Lines, is_value


@pytest.fixture
def lines() -> Lines:
    for name in (b"Server", b"Cookie", b"Upgrade", b"Connection"):
        lower_name(name)
    return Lines(frozenset((b"upgrade", b"connection")), frozenset((b"cookie",)))


def test_a_line_is_a_known_name_and_a_printable_value(lines: Lines) -> None:
    field = lines.learn(b"Server: a b\r")
    assert field is not None
    assert (field.name, field.value) == (b"server", b"a b")
    assert lines.known[b"Server: a b\r"] is field


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"\r", b"Server: a", b"Server:\r", b"Server: \r", b"Server:  a\r", b"Server: a \r", b"Server : a\r"),
        *(b"Server\r", b": a\r", b"Server: a\0\r", b"Server: a\rb\r", b"Server: a\tb\r", b"Nobody-Knows: a\r"),
        *(b"Upgrade: a\r", b"Connection: close\r"),
    ],
)
def test_what_is_not_plain_is_left_to_the_parser(lines: Lines, line: bytes) -> None:
    assert lines.learn(line) is None
    assert lines.known == {}


def test_a_connection_that_stays_is_plain(lines: Lines) -> None:
    assert lines.learn(b"Connection: keep-alive\r") is not None


def test_secrets_and_long_lines_are_not_remembered_nor_too_many(lines: Lines) -> None:
    assert lines.learn(b"Cookie: a=b\r") is not None
    assert lines.learn(b"Server: " + b"a" * LINE_LONGEST + b"\r") is not None
    assert lines.known == {}
    for number in range(LINES_KEPT + 1):
        lines.learn(b"Server: %d\r" % number)
    assert len(lines.known) == 1


def test_values() -> None:
    assert is_value(b"a \xff")
    assert not any(map(is_value, (b"", b" a", b"a ", b"a\nb", b"\x7f")))
