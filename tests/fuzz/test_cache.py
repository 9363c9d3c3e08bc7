"""Bodies as they come and are read, in any order: no reader gets another byte than the origin sent, nor fewer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgeproxy.cache.fill import Fill, FillReader, Slice
from edgeproxy.cache.parts import Parts
from edgeproxy.http.body import HIGH_WATER

_PIECES = st.sampled_from([1, 2, 1000, HIGH_WATER - 1, HIGH_WATER, HIGH_WATER + 1, 3 * HIGH_WATER])


_PERIOD = 4 * 65_521  # bytes; no size or sum of sizes above is likely to be a multiple of it
_WORDS = b"".join([number.to_bytes(4, "big") for number in range(_PERIOD // 4)])


def _bytes(first: int, size: int) -> bytes:
    """The bytes of an endless body from a position on."""
    start, times = first % _PERIOD, size // _PERIOD + 2
    return (_WORDS * times)[start : start + size]


class Filling(RuleBasedStateMachine):
    """One body on its way, and its readers. What a reader would have to wait for is not asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.fill = Fill(None)
        self.readers: list[FillReader] = []
        self.got: list[int] = []
        self.given_up = False

    @initialize()
    def one_reads_from_the_start(self) -> None:
        self.joins()

    @precondition(lambda self: not self.given_up)
    @rule()
    def joins(self) -> None:
        self.readers.append(self.fill.reader())
        self.got.append(0)

    @precondition(lambda self: not self.fill.done)
    @rule(size=_PIECES)
    def comes(self, size: int) -> None:
        self.fill.feed(_bytes(self.fill.size, size))

    @rule(data=st.data())
    def reads(self, data: st.DataObject) -> None:
        if not self.readers:
            return
        number = data.draw(st.integers(0, len(self.readers) - 1))
        if self.got[number] < self.fill.size:
            self._take(number, run(self.readers[number]))

    @rule(data=st.data())
    def takes_the_rest(self, data: st.DataObject) -> None:
        if not self.readers:
            return
        number = data.draw(st.integers(0, len(self.readers) - 1))
        rest = self.readers[number].take()
        if rest is None:
            assert not self.fill.done or self.fill.size - self.got[number] > HIGH_WATER
        else:
            assert self.fill.done
            self._take(number, rest)
            assert self.got[number] == self.fill.size

    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        if len(self.readers) > 1:
            number = data.draw(st.integers(0, len(self.readers) - 1))
            self.readers.pop(number).close()
            self.got.pop(number)

    @precondition(lambda self: not self.fill.done and not self.given_up)
    @rule()
    def is_given_up(self) -> None:
        self.given_up = True
        self.fill.give_up()

    @precondition(lambda self: not self.fill.done)
    @rule()
    def ends(self) -> None:
        self.fill.finish()
        if not self.given_up:
            assert self.fill.whole() == _bytes(0, self.fill.size)

    @invariant()
    def holds_no_more_than_is_to_be_read(self) -> None:
        if self.given_up:
            largest = 3 * HIGH_WATER  # of a piece, which is let go of as a whole
            held = sum(map(len, self.fill.chunks))
            assert held <= self.fill.size - min(self.got, default=self.fill.size) + largest

    def _take(self, number: int, data: bytes) -> None:
        assert 0 < len(data) <= HIGH_WATER or (not data and self.got[number] == self.fill.size)
        assert data == _bytes(self.got[number], len(data))
        self.got[number] += len(data)


def run(reader: FillReader | Slice) -> bytes:
    """The next read, which has nothing to wait for."""
    reading = reader.read()
    try:
        reading.send(None)
    except StopIteration as done:
        return bytes(done.value)
    raise AssertionError("it waits, though there is something to read")


TestFilling = Filling.TestCase
TestFilling.settings = settings(max_examples=100, stateful_step_count=30)


@given(st.integers(1, 300), st.lists(st.tuples(st.integers(0, 299), st.integers(1, 120)), max_size=12), st.data())
def test_parts_have_the_bytes_they_were_given_and_no_others(
    length: int, given_parts: list[tuple[int, int]], data: st.DataObject
) -> None:
    parts, here = Parts(length), set[int]()
    for first, size in given_parts:
        end = min(first + size, length)
        if first < end:
            parts.add(first, _bytes(first, end - first))
            here |= set(range(first, end))
    assert parts.size == len(here)
    first = data.draw(st.integers(0, length - 1))
    last = data.draw(st.integers(first, length - 1))
    wanted = _bytes(first, last - first + 1) if here.issuperset(range(first, last + 1)) else None
    assert parts.get((first, last)) == wanted
    assert parts.whole() == (_bytes(0, length) if len(here) == length else None)
    assert parts.beginning() == _bytes(0, next(n for n in range(length + 1) if n not in here))
