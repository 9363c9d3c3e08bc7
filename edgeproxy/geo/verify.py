"""Whether an MMDB file is whole: every record of its tree, and every value of its data, where the format has them.

The C reader trusts what it maps: one flipped bit in the data ends the process with a segmentation fault (maxminddb 3.2;
about one in a thousand of random damages). So each file is gone through once, in a process of its own, which keeps its
work and its memory away from the workers: ``python -m edgeproxy.geo.verify FILE``. A file that passes can be read
without surprises. The format: MaxMind DB File Format Specification 2.0.
"""

from __future__ import annotations

import mmap
import subprocess
import sys
from array import array
from collections.abc import Iterator

MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = 16  # zero bytes between tree and data
TIME = 300.0  # seconds; 8 MB take 2, 130 MB some 40

_DEPTH = 32  # maps in maps; MaxMind's largest have 4
_WEIGHT = 10_000  # values in one record with all that its pointers bring in; MaxMind's largest have 300
_SLICE = 1 << 16  # nodes of the tree at a time

_EXTENDED, _POINTER, _STRING, _MAP, _ARRAY, _BOOLEAN = 0, 1, 2, 7, 11, 14
# The kinds there are, and the largest size each may have: text, double, bytes, uint16, uint32, map, int32, uint64,
# uint128, array, boolean, float.
_LONGEST = {2: 1 << 24, 3: 8, 4: 1 << 24, 5: 2, 6: 4, 7: 1 << 12, 8: 4, 9: 8, 10: 16, 11: 1 << 12, 14: 1, 15: 4}
_EXACT = (3, 15)
_NUMBERS = (5, 6, 9)
_LENGTHS = {29: (1, 29), 30: (2, 285), 31: (3, 65_821)}
_POINTERS = ((1, 0), (2, 2_048), (3, 526_336), (4, 0))
_METADATA = (b"node_count", b"record_size", b"ip_version", b"binary_format_major_version", b"build_epoch")
_HIGH = bytes(byte >> 4 for byte in range(256))
_LOW = bytes(byte & 15 for byte in range(256))


class DamagedError(ValueError):
    """A file that cannot be used; the text says why."""


def verify(content: bytes | mmap.mmap) -> None:
    """Raises DamagedError for what is no MMDB file, or not a whole one."""
    marker = content.rfind(MARKER, max(0, len(content) - 128 * 1024))
    if marker < 0:
        raise DamagedError("it has no metadata: not an MMDB file, or one cut short")
    about = _Section(content, marker + len(MARKER), len(content))
    numbers = about.numbers()
    nodes, bits, version, form, _ = [numbers.get(name, 0) for name in _METADATA]
    if (
        not all(numbers.get(name) for name in _METADATA)
        or form != 2
        or bits not in (24, 28, 32)
        or version not in (4, 6)
    ):
        raise DamagedError("its metadata are of no known form")
    size = nodes * bits // 4
    start = size + SEPARATOR
    if start > marker or any(content[size:start]):
        raise DamagedError("its tree does not end where its data begin")
    data = _Section(content, start, marker)
    data.all()
    for record in _leaves(content, nodes, bits):
        if not data.begins(record - nodes - SEPARATOR):
            raise DamagedError("its tree names data that are not there")


def verify_apart(descriptor: int) -> None:
    """The same of an open file, in a process of its own. Raises DamagedError."""
    command = [sys.executable, "-P", "-m", "edgeproxy.geo.verify", f"/proc/self/fd/{descriptor}"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter and module
            command, capture_output=True, text=True, check=False, timeout=TIME, pass_fds=(descriptor,)
        )
    except subprocess.TimeoutExpired:
        raise DamagedError(f"not gone through within {TIME:.0f} s") from None
    if done.returncode:
        raise DamagedError(done.stdout.strip() or f"the check ended with {done.returncode}")


class _Section:
    """One section of values. ``_weights`` has for each place how many values begin there, all told: 0 for none."""

    def __init__(self, content: bytes | mmap.mmap, start: int, end: int) -> None:
        self._data = content[start:end]
        self._weights = array("H", bytes(2 * len(self._data)))
        self._strings = bytearray(len(self._data))

    def all(self) -> None:
        """Go through the values, one behind the other, to the section's end."""
        at = 0
        while at < len(self._data):
            at, _, _ = self._value(at, 0)

    def begins(self, at: int) -> bool:
        """Whether a whole value begins there."""
        return 0 <= at < len(self._weights) and self._weights[at] > 0

    def numbers(self) -> dict[bytes, int]:
        """The section's first value, which must be a map: what in it has a number."""
        kind, pairs, at = self._control(0)
        if kind != _MAP:
            raise DamagedError("its metadata are no map")
        self._value(0, 0)
        found: dict[bytes, int] = {}
        for _ in range(pairs):
            kind, size, place = self._control(at)
            name = self._data[place : place + size] if kind == _STRING else b""
            at, _, _ = self._value(at, 0)
            kind, size, place = self._control(at)
            if kind in _NUMBERS:
                found[name] = int.from_bytes(self._data[place : place + size], "big")
            at, _, _ = self._value(at, 0)
        return found

    def _value(self, at: int, depth: int) -> tuple[int, int, bool]:
        """Go through the value at ``at``. Where the next one begins, how many values it is, whether it is text."""
        start, weight = at, 1
        kind, size, at = self._control(at)
        if kind == _POINTER:  # to what stands before it, whole: so there are no circles
            if not self.begins(size):
                raise DamagedError("its data name data that are not there")
            return at, self._weights[size], self._strings[size] == 1
        if kind in (_MAP, _ARRAY):
            if depth >= _DEPTH:
                raise DamagedError(f"its data are nested deeper than {_DEPTH} levels")
            for number in range(size * (2 if kind == _MAP else 1)):
                at, more, text = self._value(at, depth + 1)
                weight += more
                if kind == _MAP and number % 2 == 0 and not text:
                    raise DamagedError("it has a map with a key that is no text")
                if weight > _WEIGHT:
                    raise DamagedError(f"it has a record of more than {_WEIGHT} values")
        elif kind != _BOOLEAN:
            at += size
        if at > len(self._data):
            raise DamagedError("its data end in the middle of a value")
        if kind == _STRING:
            try:
                self._data[at - size : at].decode()
            except UnicodeDecodeError:
                raise DamagedError("it has text that is no UTF-8") from None
            self._strings[start] = 1
        self._weights[start] = weight
        return at, weight, kind == _STRING

    def _control(self, at: int) -> tuple[int, int, int]:
        """What begins at ``at``: its kind, its size (of a pointer: where it points to), and where its content is."""
        data = self._data
        try:
            control = data[at]
            at += 1
            kind, size = control >> 5, control & 31
            if kind == _POINTER:
                length, base = _POINTERS[size >> 3]
                high = size & 7 if length < 4 else 0
                target = base + (high << 8 * length) + int.from_bytes(data[at : at + length], "big")
                return kind, target, at + length
            if kind == _EXTENDED:
                kind = data[at] + 7
                at += 1
            if size in _LENGTHS:
                length, base = _LENGTHS[size]
                size = base + int.from_bytes(data[at : at + length], "big")
                at += length
        except IndexError:
            raise DamagedError("its data end in the middle of a value") from None
        longest = _LONGEST.get(kind, -1)
        if size > longest or (kind in _EXACT and size != longest):
            raise DamagedError("it has values of no known form")
        return kind, size, at


def _leaves(content: bytes | mmap.mmap, nodes: int, bits: int) -> Iterator[int]:
    """The different records of the tree that name data; two to a node, in columns of bytes (all of it in C)."""
    width = bits // 4
    seen: set[int] = set()
    for first in range(0, nodes, _SLICE):
        tree = content[first * width : min(nodes, first + _SLICE) * width]
        columns = [tree[number::width] for number in range(width)]
        if bits == 24:
            sides = [[bytes(len(columns[0])), *columns[:3]], [bytes(len(columns[0])), *columns[3:]]]
        elif bits == 28:  # the middle byte has the highest four bits of either record
            high, low = columns[3].translate(_HIGH), columns[3].translate(_LOW)
            sides = [[high, *columns[:3]], [low, *columns[4:]]]
        else:
            sides = [columns[:4], columns[4:]]
        for side in sides:
            whole = bytearray(4 * len(side[0]))
            for number, column in enumerate(side):
                whole[number::4] = column
            records = array("I", bytes(whole))
            if sys.byteorder == "little":
                records.byteswap()
            seen.update(record for record in set(records) if record > nodes)
    yield from seen


def main(path: str) -> int:
    """The command: 0 for a whole file, 1 with the reason on standard output."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:  # noqa: PTH123
        try:
            verify(content)
        except DamagedError as error:
            print(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
