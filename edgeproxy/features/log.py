"""Access logs as records: our JSON lines and the combined format of Apache and nginx, packed with gzip or not.

What stands in a log was chosen by strangers. A line is read whole, within its bound, with every value of its type, or
is left out and counted; what the log escaped is given as it was, so that a request reads the same in both formats.
"""

from __future__ import annotations

import calendar
import gzip
import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from edgeproxy.pipeline.memo import Memo

LINE: Final = 65_536  # bytes; ours are under 4096

_GZIP: Final = b"\x1f\x8b"
_LATEST: Final = 253_402_300_800.0  # the year 10000
_LARGEST: Final = 10**15  # bytes, and seconds
_MOST_NUMBERS: Final = 64
_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
_COMBINED: Final = re.compile(
    r"(\S+) \S+ \S+ \[([^\]]{1,40})\] "
    rf'"(\S+) ((?:[^\s"\\]|\\.)+) HTTP/([0-9.]+)" ([0-9]{{3}}) ([0-9]{{1,18}}|-) {_QUOTED} {_QUOTED}'
)
_STAMP: Final = re.compile(
    r"([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ESCAPED: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)


class Record(NamedTuple):
    """One request and its answer. What the log does not tell is "" or None.

    ``time``: when the answer ended, in seconds since 1970. ``target``: path and query as asked for, with secrets masked
    as ``***`` and cut with ``...`` where it is long. ``sent``: the body's bytes. ``host`` and the rest are told by
    JSON lines alone; ``duration`` is in seconds, ``cache`` what the cache did: ``hit``, ``miss``, ``stale`` and so on,
    ``choice`` what was known of the endpoint that a model was asked for (balance.rows), and the seconds to the head of
    its answer.
    """

    time: float
    client: str
    method: str
    target: str
    status: int
    sent: int
    version: str = ""
    referer: str = ""
    user_agent: str = ""
    host: str = ""
    scheme: str = ""
    duration: float | None = None
    cache: str = ""
    country: str = ""
    choice: tuple[float, ...] = ()


class LogReader:
    """The records of a log, one at a time. ``read`` counts them, ``skipped`` the lines that are none.

    Walking through it raises OSError, EOFError or zlib.error where the file ends too early or is damaged.
    """

    def __init__(self, stream: io.BufferedReader) -> None:
        self.read = 0
        self.skipped = 0
        self._stream = stream
        self._stamps: Memo[str, float] = Memo(_stamp, 64)

    def __iter__(self) -> Iterator[Record]:
        stream = self._stream
        if stream.peek(2)[:2] == _GZIP:
            stream = io.BufferedReader(gzip.GzipFile(fileobj=stream))
        whole = True
        while line := stream.readline(LINE):
            ends = line.endswith(b"\n") or len(line) < LINE
            if whole and ends and (line := line.strip()):
                try:
                    record = _from_json(line) if line[:1] == b"{" else self._from_combined(line)
                except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                    self.skipped += 1
                else:
                    self.read += 1
                    yield record
            elif not ends and whole:
                self.skipped += 1  # once, however long it is
            whole = ends

    def _from_combined(self, line: bytes) -> Record:
        match = _COMBINED.match(line.decode("ascii"))
        if match is None:
            raise ValueError("not a line of the combined format")
        client, stamp, method, target, version, status, sent, referer, agent = match.groups()
        return Record(
            time=self._stamps[stamp],
            client=client,
            method=sys.intern(_unescaped(method)),
            target=_unescaped(target),
            status=int(status),
            sent=0 if sent == "-" else int(sent),
            version=sys.intern(version),
            referer="" if referer == "-" else _unescaped(referer),
            user_agent="" if agent == "-" else sys.intern(_unescaped(agent)),
        )

    def __repr__(self) -> str:
        return f"<LogReader {self.read} read, {self.skipped} skipped>"


def _from_json(line: bytes) -> Record:
    """Raises ValueError, KeyError, TypeError, OverflowError, RecursionError."""
    fields = json.loads(line)
    duration = fields.get("duration")
    return Record(
        time=_moment(_text(fields["time"])),
        client=_text(fields["client"]),
        method=sys.intern(_text(fields["method"])),
        target=_text(fields["target"]),
        status=_whole(fields["status"], 999),
        sent=_whole(fields["bytes"], _LARGEST),
        version=sys.intern(_text(fields.get("version", ""))),
        referer=_text(fields.get("referer", "")),
        user_agent=sys.intern(_text(fields.get("user_agent", ""))),
        host=sys.intern(_text(fields.get("host", ""))),
        scheme=sys.intern(_text(fields.get("scheme", ""))),
        duration=None if duration is None else _bounded(duration, _LARGEST),
        cache=sys.intern(_text(fields.get("cache", ""))),
        country=sys.intern(_text(fields.get("country", ""))),
        choice=_numbers(fields["choice"]) if "choice" in fields else (),
    )


def _moment(text: str) -> float:
    """``2026-11-22T03:57:59.123Z`` in seconds since 1970. Raises ValueError."""
    date = datetime.fromisoformat(text)
    if date.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return _bounded(date.timestamp(), _LATEST)


def _stamp(text: str) -> float:
    """``22/Nov/2026:03:57:59 +0000`` in seconds since 1970. Raises ValueError."""
    match = _STAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time of the combined format")
    day, month, year, hour, minute, second, sign, off_hours, off_minutes = match.groups()
    date = datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), min(int(second), 59))  # noqa: DTZ001
    offset = (int(off_hours) * 60 + int(off_minutes)) * (60 if sign == "+" else -60)
    return float(calendar.timegm(date.timetuple()) - offset)


def _unescaped(text: str) -> str:
    """What ``\\xHH`` stood for; bytes that are no UTF-8 as the JSON format has them."""
    if "\\" not in text:
        return text
    plain = _ESCAPED.sub(lambda found: found[2] or bytes((int(found[1], 16),)), text.encode("ascii"))
    return plain.decode("utf-8", "backslashreplace")


def _numbers(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) > _MOST_NUMBERS:
        raise TypeError("not a list of numbers, or a long one")
    return tuple([_bounded(each, _LARGEST, -_LARGEST) for each in value])


def _text(value: Any) -> str:
    """Text that can be encoded: JSON may hold halves of characters. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()


def _whole(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:  # True is no number here
        raise ValueError("not a number, or out of bounds")
    return value


def _bounded(value: Any, most: float, least: float = 0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    if not least <= value <= most:  # nor is NaN
        raise ValueError("out of bounds")
    return float(value)
