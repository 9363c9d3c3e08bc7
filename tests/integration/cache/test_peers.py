"""The same random requests to this proxy, nginx and Varnish, each in front of its own copy of one scripted origin.

Whatever differs in what a client sees (status, body, which of the origin's answers it is, from the store or not) falls
under a line of the table in peers/differences.py, or the test fails. And whatever the others do: what this proxy
answers has to be what the RFCs want of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.integration.cache.peers import differences, steps
from tests.integration.cache.peers.differences import TABLE, Sides
from tests.integration.cache.peers.servers import Seen, Three, three
from tests.integration.cache.peers.steps import Resource, Sequence, Step, Told

PEERS = ("nginx", "varnish")
_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.fixture(scope="module")
def servers() -> Iterator[Three]:
    with three() as servers:
        yield servers


def _told(sequence: Sequence, seen: dict[str, list[Seen]], until: int) -> str:
    """A sequence up to a step, as somebody can read it."""
    lines = [f"{number}: {resource}" for number, resource in enumerate(sequence.resources)]
    for number, step in enumerate(sequence.steps[: until + 1]):
        lines.append(f"step {number}: {step.method} /{step.url} {step.fields}, origin says {step.told}")
        lines += [f"    {name:9} {answers[number]!r}" for name, answers in seen.items()]
    return "\n".join(lines)


def _check(servers: Three, sequence: Sequence, found: Counter[str]) -> None:
    seen = servers.run(sequence)
    ours = seen["edgeproxy"]
    wrong = differences.faults(sequence, ours)
    assert not wrong, "\n".join([*wrong, _told(sequence, seen, len(ours))])
    for peer in PEERS:
        for now, (mine, theirs) in enumerate(zip(ours, seen[peer], strict=True)):
            if _same(mine, theirs):
                found["no difference"] += 1
                continue
            why = differences.explain(Sides(peer, sequence, now, ours, seen[peer]))
            assert why in TABLE, f"{peer} differs in step {now}\n{_told(sequence, seen, now)}"
            found[why] += 1


def _same(ours: Seen, theirs: Seen) -> bool:
    return (ours.status, ours.body) == (theirs.status, theirs.body) and (
        ours.origin == theirs.origin or None in {ours.origin, theirs.origin}
    )


def test_every_difference_of_two_requests_is_explained(servers: Three) -> None:
    found: Counter[str] = Counter()
    for sequence in steps.pairs():
        _check(servers, sequence, found)
    assert found["no difference"] > sum(found.values()) / 2, found


def test_every_difference_is_explained(servers: Three) -> None:
    found: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None, database=None, derandomize=True, suppress_health_check=_CHECKS)
    @given(steps.sequences())
    def run(sequence: Sequence) -> None:
        _check(servers, sequence, found)

    run()
    assert found["no difference"] > sum(found.values()) / 2, found


def test_what_a_head_freshened_here_was_fetched_there(servers: Three) -> None:
    told = [Told(cache_control="max-age=0"), Told(cache_control="max-age=60", version=1), Told()]
    resource = Resource(etag="", dated=False, vary="", expires=False)
    found: Counter[str] = Counter()
    sequence = [Step(method=method, told=each) for method, each in zip(("GET", "HEAD", "GET"), told, strict=True)]
    _check(servers, Sequence((resource, resource), tuple(sequence), int(time.time())), found)
    assert found["HEAD is passed on"] == len(PEERS)


@pytest.mark.slow
def test_every_difference_of_long_sequences_is_explained_and_every_line_of_the_table_is_needed(servers: Three) -> None:
    found: Counter[str] = Counter()
    for sequence in steps.pairs():
        _check(servers, sequence, found)

    @settings(max_examples=4000, deadline=None, database=None, suppress_health_check=_CHECKS)
    @given(steps.sequences(16))
    def run(sequence: Sequence) -> None:
        _check(servers, sequence, found)

    run()
    print(found)
    assert not TABLE.keys() - found.keys()
