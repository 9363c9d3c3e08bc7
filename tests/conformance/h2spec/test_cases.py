"""Every case, over the wire, against the real proxy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.conformance.h2spec import report
from tests.conformance.h2spec.cases import CASES
from tests.conformance.h2spec.server import WAYS, Server
from tests.conformance.h2spec.steps import Case


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("h2spec")) as server:
        yield server


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(server: Server, case: Case, way: str) -> None:
    with server.connect(way) as wire:
        case.run(wire)


def test_no_case_is_missing() -> None:
    parts = Counter(case.id.partition("/")[0] for case in CASES)
    assert parts == {
        "generic": 44,
        "hpack": 8,
        "http2": 95,
    }  # of 146, and the one that h2spec runs if told to be strict
    assert len({case.id for case in CASES}) == len(CASES)


def test_nothing_a_client_did_was_told_as_a_fault(server: Server) -> None:
    assert "Traceback" not in server.log()


def test_the_page_tells_of_these_cases() -> None:  # python -m tests.conformance.h2spec writes it
    assert report.PAGE.read_text(encoding="utf-8") == report.page({way: [] for way in WAYS})
