"""A visitor who is challenged, played by hand: finds the puzzle on the page and solves it."""

from __future__ import annotations

import re
from itertools import count

from edgeproxy.challenge.puzzle import zero_bits


def puzzle_on(page: bytes) -> bytes:
    """The puzzle a page poses."""
    found = re.search(rb'data-puzzle="([^"]+)"', page)
    assert found is not None, page
    return found[1]


def solve(puzzle: bytes) -> bytes:
    """The puzzle with its answer, found as anybody would."""
    _, _, bits, seed = puzzle.split(b".")
    number = next(number for number in count() if zero_bits(seed + b"%08x" % number) >= int(bits))
    return puzzle + b".%08x" % number


def wrong(puzzle: bytes) -> bytes:
    """The puzzle with an answer that is none."""
    _, _, bits, seed = puzzle.split(b".")
    number = next(number for number in count() if zero_bits(seed + b"%08x" % number) < int(bits))
    return puzzle + b".%08x" % number
