"""Clients as people have them, each on the demo site in every protocol it speaks."""

from __future__ import annotations

import pytest

from tests.clients.cases import GROUPS, Answer, Case, fault
from tests.clients.everyone import CLIENTS, run_all
from tests.clients.report import MARKDOWN_FILE, page, table
from tests.clients.run import Outcome

QUICK = ("curl", "qh3", "grpcio")


async def test_one_client_of_each_protocol_gets_the_whole_site() -> None:
    outcomes, absent = await run_all([client for client in CLIENTS if client.name in QUICK])
    assert absent == []
    assert [fault for outcome in outcomes for fault in outcome.faults] == []
    assert {outcome.protocol for outcome in outcomes} == {"h1", "h2", "h3"}
    assert {group for outcome in outcomes for group in outcome.counts} > {"files", "ranges", "POST", "gRPC"}


@pytest.mark.slow
async def test_every_client_gets_the_whole_site() -> None:
    outcomes, absent = await run_all(CLIENTS)
    assert absent == []
    assert [f"{one.client} {one.protocol}: {each}" for one in outcomes for each in one.faults] == []
    listed = MARKDOWN_FILE.read_text()
    assert all(outcome.client in listed for outcome in outcomes)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Answer("h2", 200, {"etag": "1"}, b"a body"), ""),
        (Answer("h1", 200, {"etag": "1"}, b"a body"), "spoke h1"),
        (Answer("h2", 404, {"etag": "1"}, b"a body"), "status 404, not 200"),
        (Answer("h2", 200, {"etag": "1"}, b"a bodY"), "a body of 6 bytes, not the 6 that are right"),
        (Answer("h2", 200, {"etag": "2"}, b"a body"), "fields {'etag': '2'}"),
    ],
)
def test_what_is_wrong_is_said(answer: Answer, found: str) -> None:
    assert fault(Case("files", "/", body=b"a body", told={"etag": "1"}), answer, "h2", unpacked=False) == found


def test_the_table_tells_counts_and_what_is_short() -> None:
    outcomes = [Outcome("httpx", "h2", {"files": (24, 24), "HEAD": (23, 24)})]
    header, _, row = table(outcomes).splitlines()
    cells = dict(zip(header.strip("| ").split(" | "), row.strip("| ").split(" | "), strict=True))
    assert (cells["files"], cells["HEAD"], cells["gRPC"], cells["protocol"]) == ("24", "**23 of 24**", "-", "HTTP/2")
    assert all(group in page(outcomes, ["A note."], "2026-01-01") for group in GROUPS)
