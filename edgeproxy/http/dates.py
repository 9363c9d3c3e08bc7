"""HTTP dates (RFC 9110 §5.6.7): the one form we write, and the three a recipient must read.

Names of days, months and the zone are matched in any case (RFC 9111 §4.2: a cache should); all else is strict, and a
zone other than GMT makes the date invalid. The day of the week must be a day's name but need not be the right one.
"""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER: Final[dict[bytes, int]] = {name.lower().encode(): number for number, name in enumerate(_MONTHS, 1)}

_DAY: Final = rb"(?:mon|tue|wed|thu|fri|sat|sun)"
_LONG_DAY: Final = rb"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_MONTH: Final = b"(?P<month>" + b"|".join(_MONTH_NUMBER) + b")"
_TIME: Final = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"

# Sun, 06 Nov 1994 08:49:37 GMT
_IMF_FIXDATE: Final = re.compile(
    _DAY + rb", (?P<day>\d\d) " + _MONTH + rb" (?P<year>\d{4}) " + _TIME + rb" gmt", re.IGNORECASE
)
# Sun Nov  6 08:49:37 1994
_ASCTIME: Final = re.compile(
    _DAY + b" " + _MONTH + rb" (?P<day>[ \d]\d) " + _TIME + rb" (?P<year>\d{4})", re.IGNORECASE
)
# Sunday, 06-Nov-94 08:49:37 GMT
_RFC850: Final = re.compile(
    _LONG_DAY + rb", (?P<day>\d\d)-" + _MONTH + rb"-(?P<year>\d\d) " + _TIME + rb" gmt", re.IGNORECASE
)

_LONGEST: Final = len(b"Wednesday, 06-Nov-94 08:49:37 GMT")
_HALF_CENTURY: Final = 50 * 365.2425 * 86400
_FIRST: Final = -62_135_596_800  # 0001-01-01T00:00:00Z
_LAST: Final = 253_402_300_799  # 9999-12-31T23:59:59Z


def parse_date(value: bytes, now: float | None = None) -> float | None:
    """Seconds since the epoch, or None if ``value`` is not an HTTP date.

    ``now`` (wall seconds, by default the system's) is what a two-digit year is read by: a date that would lie more
    than 50 years ahead is the latest one in the past with these digits.
    """
    if len(value) > _LONGEST:
        return None
    return _parse_full(value) if b"-" not in value else _parse_rfc850(value, time.time() if now is None else now)


@lru_cache(maxsize=4096)
def _parse_full(value: bytes) -> float | None:
    match = _IMF_FIXDATE.fullmatch(value) or _ASCTIME.fullmatch(value)
    return None if match is None else _seconds(match, int(match["year"]))


def _parse_rfc850(value: bytes, now: float) -> float | None:
    match = _RFC850.fullmatch(value)
    if match is None:
        return None
    this_year = time.gmtime(now).tm_year
    year = this_year - this_year % 100 + int(match["year"])
    seconds = _seconds(match, year)
    if seconds is None or seconds > now + _HALF_CENTURY:
        return _seconds(match, year - 100)
    return seconds


def _seconds(match: re.Match[bytes], year: int) -> float | None:
    """A leap second (``:60``) is read as the second after it, as POSIX time has it."""
    second = int(match["second"])
    try:
        moment = datetime(
            year,
            _MONTH_NUMBER[match["month"].lower()],
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            59 if second == 60 else second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return moment.timestamp() + (second == 60)


def format_date(seconds: float) -> bytes:
    """The IMF-fixdate of a time in seconds since the epoch, cut to the second, kept within the years 1 to 9999."""
    return _format(math.floor(seconds))


@lru_cache(maxsize=1024)
def _format(second: int) -> bytes:
    moment = time.gmtime(min(max(second, _FIRST), _LAST))
    return (
        f"{_DAYS[moment.tm_wday]}, {moment.tm_mday:02} {_MONTHS[moment.tm_mon - 1]} {moment.tm_year:04} "
        f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} GMT"
    ).encode()
