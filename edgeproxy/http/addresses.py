"""IP addresses as numbers, and sets of networks asked with one bisection.

IPv4 lives inside IPv6 as ``::ffff:0:0/96`` (RFC 4291 §2.5.5.2), so an address written either way is one number, and a
set of either kind of network is asked alike.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from itertools import accumulate
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

_MAPPED = 0xFFFF << 32
_V4 = 1 << 32
_ALL = (1 << 128) - 1

INDEXED = 4_096  # ranges of IPv4 from which on an index of 256 KB is worth its memory


def to_int(text: str) -> int | None:
    """The address as a 128-bit number, None if it is not an address. An interface (``%eth0``) is left out."""
    try:
        if ":" not in text:
            return _MAPPED | int.from_bytes(inet_pton(AF_INET, text), "big")
        return int.from_bytes(inet_pton(AF_INET6, text.partition("%")[0]), "big")
    except (OSError, ValueError):
        return None


def to_text(number: int) -> str:
    """The address as RFC 5952 writes it; an IPv4-mapped one as IPv4."""
    if number >> 32 == 0xFFFF:
        return inet_ntop(AF_INET, (number & (_V4 - 1)).to_bytes(4, "big"))
    return inet_ntop(AF_INET6, number.to_bytes(16, "big"))


def canonical(text: str) -> str | None:
    """The one way to write an address; None if it is none."""
    number = to_int(text)
    return None if number is None else to_text(number)


def network(text: str, ipv4_prefix: int, ipv6_prefix: int) -> str:
    """The network an address lies in, e.g. ``2001:db8::/64``; what is not an address stays as it is."""
    number = to_int(text)
    if number is None:
        return text
    is_v4 = number >> 32 == 0xFFFF
    prefix, host_bits = (ipv4_prefix, 32 - ipv4_prefix) if is_v4 else (ipv6_prefix, 128 - ipv6_prefix)
    return f"{to_text(number >> host_bits << host_bits)}/{prefix}"


class AddressSet:
    """A set of networks; ``text in addresses`` costs about half a microsecond, however many networks there are.

    A range of IPv4 takes 8 bytes, one of IPv6 about 110. Many ranges of IPv4 have an index by their first 16 bits.
    """

    __slots__ = ("_ends4", "_ends6", "_index", "_starts4", "_starts6")

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        self._starts4, self._ends4 = array("I"), array("I")
        self._starts6: list[int] = []
        self._ends6: list[int] = []
        self._index: array[int] | None = None
        self._fill(sorted(map(_range, networks)))

    @classmethod
    def of_ranges(cls, ranges: Iterable[tuple[int, int]]) -> AddressSet:
        """The set of sorted ranges, first and last address (:func:`to_int`), which may overlap; those of IPv4 end in
        IPv4."""
        made = cls()
        made._fill(ranges)
        return made

    def _fill(self, ranges: Iterable[tuple[int, int]]) -> None:
        begun: tuple[int, int] | None = None
        for first, last in ranges:
            if begun is None:
                begun = first, last
            elif first <= begun[1] + 1:
                begun = begun[0], max(last, begun[1])
            else:
                self._append(begun)
                begun = first, last
        if begun is not None:
            self._append(begun)
        if len(self._starts4) >= INDEXED:
            self._index = _first_halves(self._starts4)

    def _append(self, whole: tuple[int, int]) -> None:
        """Put a range behind the others, its part in IPv4 and what lies before and behind that."""
        first, last = whole
        for start, end, v4 in (
            (0, _MAPPED - 1, False),
            (_MAPPED, _MAPPED + _V4 - 1, True),
            (_MAPPED + _V4, _ALL, False),
        ):
            low, high = max(first, start), min(last, end)
            if low > high:
                continue
            if v4:
                self._starts4.append(low - _MAPPED)
                self._ends4.append(high - _MAPPED)
            else:
                self._starts6.append(low)
                self._ends6.append(high)

    def __contains__(self, text: str) -> bool:
        if ":" not in text:  # past the number of 128 bits, which costs a fifth of the whole
            try:
                return self._holds4(int.from_bytes(inet_pton(AF_INET, text), "big"))
            except (OSError, ValueError):
                return False
        number = to_int(text)
        return number is not None and self.holds(number)

    def holds(self, number: int) -> bool:
        """The same for an address that :func:`to_int` gave."""
        if number >> 32 == 0xFFFF:
            return self._holds4(number & (_V4 - 1))
        place = bisect_right(self._starts6, number) - 1
        return place >= 0 and number <= self._ends6[place]

    def _holds4(self, number: int) -> bool:
        index = self._index
        if index is None:
            place = bisect_right(self._starts4, number) - 1
        else:
            half = number >> 16
            place = bisect_right(self._starts4, number, index[half], index[half + 1]) - 1
        return place >= 0 and number <= self._ends4[place]

    def __len__(self) -> int:
        """How many ranges it is, neighbours taken as one."""
        return len(self._starts4) + len(self._starts6)

    def __repr__(self) -> str:
        ranges = [(first + _MAPPED, last + _MAPPED) for first, last in zip(self._starts4, self._ends4, strict=True)]
        ranges += zip(self._starts6, self._ends6, strict=True)
        return f"<AddressSet {', '.join(f'{to_text(first)}-{to_text(last)}' for first, last in ranges)}>"


def _first_halves(starts: array[int]) -> array[int]:
    """For each first half of an IPv4 address, and one more, how many of the sorted ``starts`` lie below it."""
    counts = array("I", bytes(4 * 65_537))
    for start in starts:
        counts[(start >> 16) + 1] += 1
    return array("I", accumulate(counts))


def _range(block: IPv4Network | IPv6Network) -> tuple[int, int]:
    base = _MAPPED if block.version == 4 else 0
    return base | int(block.network_address), base | int(block.broadcast_address)
