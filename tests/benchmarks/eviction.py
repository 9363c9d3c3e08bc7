"""Hit ratios of eviction policies on made-up loads: the table in docs/adr/0002-memory-eviction.md.

    .venv/bin/python -m tests.benchmarks.eviction           prints it
    .venv/bin/python -m tests.benchmarks.eviction --write   and puts it in the place of the one that stands there

Visitors ask for one of 50,000 objects of one size, by Zipf's law. In the loads with scans a crawler asks 5,000 objects
nobody else wants after every 10,000 visits. What counts are the visits answered from memory, behind a warm-up of a
fifth. ``S3-FIFO`` is edgeproxy.cache.memory itself; Belady, who knows the future, is the bound for all of them.
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import accumulate
from pathlib import Path

from edgeproxy.cache.entry import Entry
from edgeproxy.cache.memory import Memory
from edgeproxy.cache.policy import Terms
from edgeproxy.observe.metrics import Metrics

OBJECTS, VISITS, SEED = 50_000, 300_000, 7
SCAN_EVERY, SCAN_LENGTH = 10_000, 5_000
SHARES = (0.01, 0.05, 0.1)  # of the objects that fit
PAGE = Path(__file__).parents[2] / "docs" / "adr" / "0002-memory-eviction.md"

Policy = Callable[[Sequence[int], int], list[bool]]
"""From the keys asked for and the number of objects that fit to whether each was there."""

_TERMS = Terms(3600, 0, validate=False, strict=False, while_revalidate=0, if_error=0)


def load(exponent: float, *, scans: bool, seed: int = SEED, visits: int = VISITS) -> list[int]:
    """Keys in the order they are asked for; a crawler's are negative."""
    weights = list(accumulate(1 / rank**exponent for rank in range(1, OBJECTS + 1)))
    keys = random.Random(seed).choices(range(OBJECTS), cum_weights=weights, k=visits)
    if not scans:
        return keys
    out: list[int] = []
    for start in range(0, visits, SCAN_EVERY):
        out += keys[start : start + SCAN_EVERY]
        out += range(-len(out) - SCAN_LENGTH, -len(out))
    return out


def ratio(policy: Policy, keys: Sequence[int], size: int) -> float:
    """The share of visits answered from memory, behind the warm-up."""
    counted = [
        hit for key, hit in zip(keys[len(keys) // 5 :], policy(keys, size)[len(keys) // 5 :], strict=True) if key >= 0
    ]
    return sum(counted) / len(counted)


def s3_fifo(keys: Sequence[int], size: int) -> list[bool]:
    """The memory tier as it is."""
    weigh = _entry(0).size
    memory = Memory(size * weigh, Metrics())
    hits = []
    for key in keys:
        entry = memory.get(b"%012d" % key, {})
        hits.append(entry is not None)
        if entry is None:
            memory.put(_entry(key))
        else:
            entry.hits += 1
    return hits


def _entry(key: int) -> Entry:
    return Entry(b"%012d" % key, (), b"", 200, {}, _TERMS, 0.0, body=b"")


def lru(keys: Sequence[int], size: int) -> list[bool]:
    return _queue(keys, size, renew=True)


def fifo(keys: Sequence[int], size: int) -> list[bool]:
    return _queue(keys, size, renew=False)


def _queue(keys: Sequence[int], size: int, *, renew: bool) -> list[bool]:
    held: OrderedDict[int, None] = OrderedDict()
    hits = []
    for key in keys:
        hits.append(key in held)
        if key not in held:
            held[key] = None
            if len(held) > size:
                held.popitem(last=False)
        elif renew:
            held.move_to_end(key)
    return hits


def sieve(keys: Sequence[int], size: int) -> list[bool]:
    """Zhang et al., "SIEVE is simpler than LRU", NSDI 2024. A ring of slots stands for its list and hand."""
    slots: list[int] = []  # the oldest first
    visited: dict[int, bool] = {}
    hand = 0
    hits = []
    for key in keys:
        hits.append(key in visited)
        if key in visited:
            visited[key] = True
            continue
        if len(slots) >= size:
            hand %= len(slots)
            while visited[slots[hand]]:
                visited[slots[hand]] = False
                hand = (hand + 1) % len(slots)
            del visited[slots.pop(hand)]
        slots.append(key)
        visited[key] = False
    return hits


def w_tinylfu(keys: Sequence[int], size: int) -> list[bool]:
    """Einziger et al., "TinyLFU", 2017: a window of 1 %, a main part of 20 % probation and 80 % protected, and exact
    counts, halved every ten sizes, in place of the sketch that would approximate them."""
    window: OrderedDict[int, None] = OrderedDict()
    probation: OrderedDict[int, None] = OrderedDict()
    protected: OrderedDict[int, None] = OrderedDict()
    room = max(1, size // 100)
    shelter = (size - room) * 8 // 10
    seen: Counter[int] = Counter()
    hits = []
    for number, key in enumerate(keys, 1):
        seen[key] += 1
        if number % (10 * size) == 0:
            seen = Counter({known: count // 2 for known, count in seen.items() if count > 1})
        hits.append(key in window or key in probation or key in protected)
        if key in window:
            window.move_to_end(key)
        elif key in protected:
            protected.move_to_end(key)
        elif key in probation:
            del probation[key]
            protected[key] = None
            if len(protected) > shelter:
                probation[protected.popitem(last=False)[0]] = None
        else:
            window[key] = None
            if len(window) > room:
                candidate = window.popitem(last=False)[0]
                if len(probation) + len(protected) < size - room:
                    probation[candidate] = None
                elif probation:
                    victim = next(iter(probation))
                    if seen[candidate] > seen[victim]:
                        del probation[victim]
                        probation[candidate] = None
    return hits


def belady(keys: Sequence[int], size: int) -> list[bool]:
    """L. A. Belady, 1966: what is asked for again the latest goes; what never is, is not kept at all."""
    places: dict[int, deque[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, deque()).append(place)
    never = len(keys)
    due: dict[int, int] = {}
    furthest: list[tuple[int, int]] = []
    hits = []
    for key in keys:
        hits.append(key in due)
        queue = places[key]
        queue.popleft()
        due[key] = queue[0] if queue else never
        heappush(furthest, (-due[key], key))
        while len(due) > size:
            when, other = heappop(furthest)
            if due.get(other) == -when:
                del due[other]
    return hits


POLICIES: dict[str, Policy] = {
    "FIFO": fifo,
    "LRU": lru,
    "SIEVE": sieve,
    "W-TinyLFU": w_tinylfu,
    "S3-FIFO": s3_fifo,
    "Belady": belady,
}


def table() -> str:
    """The figures, in percent, as Markdown."""
    lines = ["| load | room | " + " | ".join(POLICIES) + " |", "|---" * (len(POLICIES) + 2) + "|"]
    for exponent in (0.8, 1.0):
        for scans in (False, True):
            keys = load(exponent, scans=scans)
            for share in SHARES:
                figures = [f"{100 * ratio(policy, keys, int(OBJECTS * share)):.1f}" for policy in POLICIES.values()]
                name = f"Zipf {exponent}{', scans' if scans else ''}"
                lines.append(f"| {name} | {share:.0%} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


def put_in(page: str, made: str) -> str:
    """A page with ``made`` in the place of the table that begins as it does. Raises ValueError if there is none."""
    head = made.partition("\n")[0]
    page, count = re.subn(rf"^{re.escape(head)}\n(?:\|.*\n)*", lambda _: made + "\n", page, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{count} tables begin with {head!r}")
    return page


def main() -> None:
    made = table()
    print(made)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(put_in(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main()
