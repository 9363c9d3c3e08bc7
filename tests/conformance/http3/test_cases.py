"""The errors of HTTP/3 over the wire, each on a connection of its own, and whether anybody else noticed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.http3.cases import CASES, Case, run
from tests.support.http3 import Http3Site


@pytest.fixture(scope="module")
def site() -> Iterator[Http3Site]:
    with Http3Site() as site:
        yield site


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_client_that_breaks_a_rule_is_told_which(site: Http3Site, case: Case) -> None:
    with site.client(http=False) as client:
        assert not run(case, client)


def test_afterwards_all_is_well_and_no_line_of_the_log_says_otherwise(site: Http3Site) -> None:
    with site.client() as client:
        assert client.connect().get().status == 200
    assert not [line for line in site.edge.logs().splitlines() if " error " in line or " warning " in line]
