"""Access logs as records: what our own log wrote is read as it was, and what strangers put there does no harm."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.features.log import LINE, LogReader, Record
from edgeproxy.observe.access_log import formatter
from tests.support.stages import exchange

TIME = 1_800_000_000.125


def read(data: bytes) -> tuple[list[Record], LogReader]:
    reader = LogReader(io.BufferedReader(io.BytesIO(data)))
    return list(reader), reader


def logged(kind: Any, target: bytes = b"/a?b=1", agent: bytes = b"curl/8", **settings: Any) -> bytes:
    fields = {b"user-agent": agent, b"referer": b"https://b.example/"}
    x = exchange(target, fields, scheme=b"https", started=0.0, **settings)
    x.status, x.sent, x.ended = 404, 1234, 0.125
    return formatter(kind)([x], TIME - 0.125)


def line(**changes: Any) -> bytes:
    record = json.loads(logged("json"))
    return json.dumps({key: value for key, value in (record | changes).items() if value is not ...}).encode() + b"\n"


def test_what_the_log_wrote_as_json_is_read_as_it_was() -> None:
    ((record,), _) = read(logged("json"))
    assert record == Record(
        time=TIME,
        client="192.0.2.7",
        method="GET",
        target="/a?b=1",
        status=404,
        sent=1234,
        version="1.1",
        referer="https://b.example/",
        user_agent="curl/8",
        host="www.example.com",
        scheme="https",
        duration=0.125,
        cache=record.cache,
    )
    assert record.cache


def test_what_an_endpoint_was_chosen_by_is_read_as_it_was_written() -> None:
    x = exchange(b"/", started=0.0)
    x.choice, x.ended = (-4.605, 0.0, 60.0, 0.0123), 0.125
    ((record,), _) = read(formatter("json")([x], TIME - 0.125))
    assert record.choice == x.choice


def test_the_combined_format_tells_the_same_but_for_what_it_leaves_out() -> None:
    ((record,), _) = read(logged("combined"))
    assert record == Record(
        TIME - 0.125, "192.0.2.7", "GET", "/a?b=1", 404, 1234, "1.1", "https://b.example/", "curl/8"
    )


@pytest.mark.parametrize("value", [b'"; DROP \\ "', b"\xc3\xa4 \xff \x00", "日本".encode(), b"\\x41", b"a\\"])
def test_what_the_log_escaped_reads_the_same_in_both_formats(value: bytes) -> None:
    ((one,), _), ((other,), _) = read(logged("json", agent=value)), read(logged("combined", agent=value))
    assert one.user_agent == other.user_agent == value.decode("utf-8", "backslashreplace")
    target = b"/" + value.replace(b" ", b"%20")
    ((one,), _), ((other,), _) = read(logged("json", target)), read(logged("combined", target))
    assert one.target == other.target


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("15/Jan/2027:08:00:00 +0000", 1_800_000_000),
        ("15/Jan/2027:10:30:00 +0230", 1_800_000_000),
        ("14/Jan/2027:22:00:00 -1000", 1_800_000_000),
    ],
)
def test_lines_of_other_servers_are_read_with_their_time_zone(stamp: str, time: int) -> None:
    ((record,), _) = read(f'::1 - frank [{stamp}] "POST /x HTTP/2.0" 204 - "-" "-" 0.003\n'.encode())
    assert record == Record(time, "::1", "POST", "/x", 204, 0, "2.0")


def test_a_log_may_be_packed() -> None:
    records, _ = read(gzip.compress(line() * 3))
    assert len(records) == 3


def test_a_packed_log_that_breaks_off_says_so() -> None:
    with pytest.raises(EOFError):
        read(gzip.compress(line() * 3)[:-9])


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "200"},
        {"status": True},
        {"status": -1},
        {"status": 2000},
        {"bytes": 1.5},
        {"bytes": -1},
        {"bytes": 10**30},
        {"duration": float("nan")},
        {"duration": float("inf")},
        {"duration": "1"},
        {"duration": 10**400},
        {"time": "yesterday"},
        {"time": 5},
        {"time": "2027-01-15T08:00:00"},
        {"time": "0001-01-01T00:00:00Z"},
        {"target": None},
        {"target": ...},
        {"client": ["a"]},
        {"user_agent": 7},
        {"choice": "1"},
        {"choice": [1, "2"]},
        {"choice": [True]},
        {"choice": [float("nan")]},
        {"choice": [1e300]},
        {"choice": [0] * 65},
    ],
)
def test_lines_with_values_that_are_none_are_left_out_and_counted(changes: dict[str, Any]) -> None:
    records, reader = read(line() + line(**changes) + line())
    assert (len(records), reader.read, reader.skipped) == (2, 2, 1)


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"{}",
        b"[" * 100_000,
        b'{"a":' + b"[" * 60_000,
        b"GET / HTTP/1.1",
        b'1 - - [31/Foo/2027:08:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"',
        b'1 - - [31/Feb/2027:08:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"',
        b'1 - - [x] "GET / HTTP/1.1" 200 1 "-" "-"',
        b'1 - - [15/Jan/2027:08:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "',
        '1 - - [15/Jan/2027:08:00:00 +0000] "GET /ä HTTP/1.1" 200 1 "-" "-"'.encode(),
        b"\xff\xfe\x00",
    ],
)
def test_lines_that_are_no_records_are_left_out_and_counted(bad: bytes) -> None:
    records, reader = read(line() + bad + b"\n" + line())
    assert (len(records), reader.skipped) == (2, 1)


def test_a_line_without_end_takes_no_memory_and_hides_no_other() -> None:
    records, reader = read(line() + b"x" * (5 * LINE) + b"\n" + line() + line().rstrip())
    assert (len(records), reader.skipped) == (3, 1)


def test_halves_of_characters_do_not_come_through() -> None:
    ((record,), _) = read(line(user_agent="a\ud800b").replace(b"\\\\ud800", b"\\ud800"))
    assert record.user_agent.encode() == b"a\\ud800b"


@given(st.lists(st.one_of(st.binary(max_size=200), st.just(line()), st.just(logged("combined"))), max_size=6))
def test_whatever_stands_in_a_log_is_read_or_left_out(parts: list[bytes]) -> None:
    records, reader = read(b"".join(part.replace(b"\x1f\x8b", b"") for part in parts))
    assert len(records) == reader.read
    for record in records:
        assert 0 <= record.status <= 999
        assert all(each.encode() is not None for each in record if isinstance(each, str))


@given(st.binary(max_size=40), st.integers(0, 400))
def test_damage_to_a_line_is_read_or_left_out(noise: bytes, at: int) -> None:
    for whole in (line(), logged("combined")):
        damaged = whole[:at] + noise + whole[at + len(noise) :]
        if damaged[:2] != b"\x1f\x8b":
            read(damaged)
