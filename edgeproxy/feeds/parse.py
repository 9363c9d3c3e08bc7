"""Lists of networks as they are published: Spamhaus DROP (a JSON object a line), FireHOL netsets, plain CIDR lists.

A damaged list must neither let in nor shut out everybody: what cannot be read or is too broad to be meant is left out,
and a list with too much of that is refused as a whole.
"""

from __future__ import annotations

import heapq
import io
import json
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from edgeproxy.http.addresses import AddressSet, to_int

Form = Literal["auto", "ndjson", "list"]

LARGEST: Final = 32_000_000  # bytes
MOST: Final = 1_000_000  # ranges
BAD_SHARE: Final = 0.1  # of the lines with content: above it a list is refused
_RUN: Final = 4_096  # lines between pauses
_COMMENTS: Final = (b"#", b";", b"//")


class FeedError(ValueError):
    """A list that is not taken; the text says why."""


class Broadest(NamedTuple):
    """The shortest prefixes that are believed."""

    ipv4: int = 8
    ipv6: int = 16


class Parsed(NamedTuple):
    """What a list holds: ``networks`` lines were read, ``skipped`` were not."""

    addresses: AddressSet
    networks: int
    skipped: int


def parse(content: bytes, form: Form, broadest: Broadest, pause: Callable[[], None] = lambda: None) -> Parsed:
    """The list in ``content``. ``pause`` is called every millisecond or so, to let other threads on.

    Raises FeedError if it is too large, or more than a tenth of it cannot be read.
    """
    if len(content) > LARGEST:
        raise FeedError(f"larger than {LARGEST // 1_000_000} MB")
    read = _RECORDS[form] if form != "auto" else None
    runs: list[list[tuple[int, int]]] = []
    run: list[tuple[int, int]] = []
    networks = skipped = 0
    for number, line in enumerate(io.BytesIO(content), 1):
        if number % _RUN == 0:
            pause()
        line = line.strip()
        if not line or line.startswith(_COMMENTS):
            continue
        if read is None:
            read = _RECORDS["ndjson" if line.startswith(b"{") else "list"]
        text = read(line)
        if text is None:
            continue
        found = _range(text, broadest)
        if found is None:
            skipped += 1
            continue
        networks += 1
        run.append(found)
        if len(run) == _RUN:
            runs.append(sorted(run))
            run = []
    if networks > MOST:
        raise FeedError(f"more than {MOST} networks")
    if skipped > BAD_SHARE * (networks + skipped):
        raise FeedError(f"{skipped} of {networks + skipped} lines are no networks, or too broad ones")
    runs.append(sorted(run))
    return Parsed(AddressSet.of_ranges(_merged(runs, pause)), networks, skipped)


def _merged(runs: list[list[tuple[int, int]]], pause: Callable[[], None]) -> Iterator[tuple[int, int]]:
    """All runs as one; sorting them at once would hold other threads up for a tenth of a second."""
    for number, found in enumerate(heapq.merge(*runs), 1):
        if number % _RUN == 0:
            pause()
        yield found


def _plain(line: bytes) -> bytes | None:
    """The line's first word: what follows is a comment, or says more about the network."""
    words = line.replace(b",", b" ").split(None, 1)
    return words[0] if words else line


def _record(line: bytes) -> bytes | None:
    """The ``cidr`` of an object; None for one that has none, like the last line, which is about the list."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(record, dict):
        return line
    network = record.get("cidr")
    if network is None:
        return None if "type" in record or "timestamp" in record else line
    return network.encode("ascii", "replace") if isinstance(network, str) else line


_RECORDS: Final[dict[str, Callable[[bytes], bytes | None]]] = {"ndjson": _record, "list": _plain}


def _range(written: bytes, broadest: Broadest) -> tuple[int, int] | None:
    """First and last address of ``192.0.2.0/24`` or ``2001:db8::1``; None for what is neither, or too broad."""
    address, slash, prefix = written.partition(b"/")
    number = to_int(address.decode("ascii", "replace"))
    if number is None or b"%" in address:
        return None
    bits, least = (32, broadest.ipv4) if b":" not in address else (128, broadest.ipv6)
    length = bits
    if slash:
        if not prefix.isdigit() or len(prefix) > 3:
            return None
        length = int(prefix)
    if not least <= length <= bits:
        return None
    host = bits - length
    first = number >> host << host
    return first, first | ((1 << host) - 1)
