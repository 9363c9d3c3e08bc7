"""The table of hostile requests at this proxy, side by side with nginx on the same bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from tests.integration.wire.cases import CASES, Case
from tests.integration.wire.compare import NGINX, PROBE, Outcome, run_all
from tests.support.servers import EdgeProcess, NginxServer, RecordedRequest, RecordingOrigin

_PROBED = PROBE.split()[1]
_HEAD = re.compile(
    rb"[A-Za-z!#$%&'*+.^_`|~0-9-]+ (?:/[\x21-\x7e\x80-\xff]*|\*) HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ ]?[\t\x20-\x7e\x80-\xff]*\r\n)+\r\n"
)


class Pair(NamedTuple):
    ours: Outcome
    nginx: Outcome


def _edge(origin: RecordingOrigin) -> EdgeProcess:
    return EdgeProcess(
        {
            "node": "wire",  # as the cases call it
            "limits": {
                "head_size": "32KB",
                "header_count": 128,
                "body_size": "1MB",
                "head_timeout": "1s",
                "body_timeout": "1s",
                "idle_timeout": "1s",
            },
            # Nothing here but framing: each case is its own exchange, however busy the machine.
            "pools": {
                "site": {
                    "endpoints": [origin.url],
                    "timeouts": {"connect": "20s", "first_byte": "20s"},
                    "outlier": False,
                    "retry": False,
                }
            },
            "routes": [{"name": "all", "pool": "site"}],
            "middleware": {"bot_check": False, "rate_limit": False, "cache": False},
        }
    )


@pytest.fixture(scope="module")
def pairs() -> Iterator[dict[Case, Pair]]:
    """Every case, run once at each."""
    with (
        RecordingOrigin() as ours_origin,
        RecordingOrigin() as nginx_origin,
        _edge(ours_origin) as edge,
        NginxServer(NGINX.format(origin=nginx_origin.port)) as nginx,
        ThreadPoolExecutor(2) as pool,
    ):
        ours = pool.submit(run_all, CASES, edge.port, ours_origin)
        theirs = pool.submit(run_all, CASES, nginx.port, nginx_origin)
        yield {case: Pair(*both) for case, *both in zip(CASES, ours.result(), theirs.result(), strict=True)}


def _well_formed(request: RecordedRequest) -> bool:
    """Whether a request sent on leaves the origin no doubt where it ends and whom it is for."""
    lengths, codings = request.all(b"content-length"), request.all(b"transfer-encoding")
    return (
        _HEAD.fullmatch(request.head) is not None
        and len(lengths) + len(codings) <= 1
        and all(length.isdigit() for length in lengths)
        and codings in ([], [b"chunked"])
        and len(request.all(b"host")) == 1
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_hostile_request(case: Case, pairs: dict[Case, Pair]) -> None:
    ours, nginx = pairs[case]
    answers = ours.answers
    statuses = answers.statuses
    sent = f"{case.sent[:300]!r}\n{case.note}\nanswered {statuses}, origin got {[r.raw[:300] for r in ours.requests]}"

    assert (statuses[0] if statuses else 0) in case.want, sent
    assert len(statuses) <= case.answers, sent
    assert ours.closed, f"still open after the last answer: {sent}"
    if 400 in statuses:
        assert statuses[-1] == 400, f"went on after a 400: {sent}"
    assert not answers.rest, f"half an answer {answers.rest[:80]!r}: {sent}"

    for request in ours.requests:
        assert request.target != _PROBED, f"the connection went on: {sent}"
        assert _well_formed(request), f"sent on malformed: {sent}"
        for trace in case.never:
            assert trace not in request.raw.lower(), f"{trace!r} was sent on: {sent}"
    if statuses and 400 <= statuses[0] < 500 and case.answers == 1:
        assert not ours.complete, f"refused, and sent on all the same: {sent}"
    if case.origin is not None:
        assert len(ours.complete) <= case.origin, sent
    if not case.beyond_nginx:
        more = Counter(ours.complete) - Counter(nginx.complete)
        assert not more, f"nginx did not send {list(more)} but {nginx.complete}: {sent}"


def test_the_table_covers_every_kind_and_no_case_twice() -> None:
    assert len(CASES) >= 200
    assert len({(case.kind, case.name) for case in CASES}) == len(CASES)
    assert len({case.sent for case in CASES}) >= len(CASES) - 10
    assert all("RFC" in case.note for case in CASES)
