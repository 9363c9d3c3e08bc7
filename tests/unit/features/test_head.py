"""Heads of browsers, tools and liars come to different numbers, the same ones every time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.features import head
from edgeproxy.features.head import LENGTH, NAMES, NUMBERS, identity, vector
from edgeproxy.http.message import Request

ROOT = Path(__file__).parents[3]
AGENT = b"Mozilla/5.0 (%b) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 %bSafari/537.36"
WINDOWS = AGENT % (b"Windows NT 10.0; Win64; x64", b"")
PHONE = AGENT % (b"Linux; Android 10; K", b"Mobile ")
FIREFOX = b"Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"
SAFARI = (
    b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    b"Version/26.6 Safari/605.1.15"
)
CHROME = {
    b"host": b"a.example",
    b"connection": b"keep-alive",
    b"sec-ch-ua": b'"Chromium";v="153", "Google Chrome";v="153", "Not_A Brand";v="24"',
    b"sec-ch-ua-mobile": b"?0",
    b"sec-ch-ua-platform": b'"Windows"',
    b"upgrade-insecure-requests": b"1",
    b"user-agent": WINDOWS,
    b"accept": b"text/html,application/xhtml+xml,image/avif,*/*;q=0.8",
    b"sec-fetch-site": b"none",
    b"sec-fetch-mode": b"navigate",
    b"sec-fetch-user": b"?1",
    b"sec-fetch-dest": b"document",
    b"accept-encoding": b"gzip, deflate, br, zstd",
    b"accept-language": b"en-US,en;q=0.9",
}
CURL = {b"host": b"a.example", b"user-agent": b"curl/8.5.0", b"accept": b"*/*"}
PARTING = NUMBERS[-14:-2]


def numbers(fields: dict[bytes, bytes], scheme: bytes = b"https", version: bytes = b"1.1") -> dict[str, float]:
    found = vector(Request(b"GET", b"/", fields, scheme, version=version))
    assert (found.dtype, found.shape) == (np.dtype(np.float32), (LENGTH,))
    return dict(zip(NAMES, map(float, found), strict=True))


def parting(fields: dict[bytes, bytes], scheme: bytes = b"https") -> set[str]:
    """Where the agent and the rest part."""
    found = numbers(fields, scheme)
    return {name for name in PARTING if found[name]}


def changed(without: tuple[bytes, ...] = (), **fields: bytes) -> dict[bytes, bytes]:
    given = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return {name: value for name, value in (CHROME | given).items() if name not in without}


def test_names_stand_for_one_number_each() -> None:
    assert len(set(NAMES)) == LENGTH


def test_a_browser_agrees_with_its_agent() -> None:
    assert parting(CHROME) == set()
    found = numbers(CHROME)
    assert (found["agent: Chromium"], found["accept: HTML"], found["encodings: zstd"], found["https"]) == (1, 1, 1, 1)
    assert found["fetch: at odds with itself"] == found["hints: malformed"] == found["HTTP/1.0"] == 0


def test_a_tool_has_little() -> None:
    found = numbers(CURL, b"http", b"1.0")
    assert (found["accept: everything alone"], found["agent: 8ths of unusual words"], found["HTTP/1.0"]) == (
        1,
        0.125,
        1,
    )
    assert found["agent: begins as browsers' do"] == found["https"] == found["field: accept-language"] == 0
    assert parting(CURL) == set()


def test_an_agent_in_a_tools_fields_parts_from_them() -> None:
    assert parting({**CURL, b"user-agent": WINDOWS}) == {
        *("browser without languages", "browser without encodings"),
        *("browser without fetch metadata", "Chromium without hints"),
    }


def test_over_http_neither_hints_nor_metadata_are_missed() -> None:
    assert parting({**CURL, b"user-agent": WINDOWS}, b"http") == {
        "browser without languages",
        "browser without encodings",
    }


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        (changed(user_agent=FIREFOX), {"hints of no Chromium", "order is not Gecko's"}),
        (changed(user_agent=SAFARI), {"hints of no Chromium"}),
        (changed(sec_ch_ua=b'"Chromium";v="99"'), {"hints of another version"}),
        (changed(sec_ch_ua=b'"Chromium;v=153"'), {"hints of another version"}),
        (changed(sec_ch_ua_platform=b'"Linux"'), {"hints of another system"}),
        (changed(sec_ch_ua_platform=b"Windows"), {"hints of another system"}),
        (changed(sec_ch_ua_mobile=b"?1"), {"hints at odds about mobile"}),
        (changed(user_agent=PHONE), {"hints of another system", "hints at odds about mobile"}),
        (changed((b"upgrade-insecure-requests",)), {"page without upgrade"}),
        (changed((b"accept",)), {"browser without accept"}),
        (dict(reversed(CHROME.items())), {"order is not Chromium's"}),
        (changed(upgrade=b"websocket", without=(b"sec-fetch-site", b"sec-ch-ua", b"sec-fetch-dest")), set()),
    ],
)  # fmt: skip
def test_what_does_not_agree_is_told(fields: dict[bytes, bytes], where: set[str]) -> None:
    assert parting(fields) == where


@pytest.mark.parametrize(
    ("fields", "odd"),
    [
        ({b"sec-fetch-mode": b"cors", b"sec-fetch-site": b"none", b"sec-fetch-dest": b"empty"}, 0),
        ({b"sec-fetch-mode": b"navigate", b"sec-fetch-site": b"none", b"sec-fetch-dest": b"empty"}, 1),
        ({b"sec-fetch-mode": b"cors", b"sec-fetch-site": b"none", b"sec-fetch-dest": b"document"}, 1),
        ({b"sec-fetch-mode": b"cors"}, 1),
        ({b"sec-fetch-mode": b"other", b"sec-fetch-site": b"none", b"sec-fetch-dest": b"empty"}, 1),
        ({b"sec-fetch-user": b"?1"}, 1),
        ({}, 0),
    ],
)
def test_metadata_no_browser_sends_are_odd(fields: dict[bytes, bytes], odd: float) -> None:
    assert numbers(fields)["fetch: at odds with itself"] == odd


def test_what_lists_hold_is_parsed() -> None:
    fields = {
        b"accept": b'text/plain;x="text/html"',
        b"accept-encoding": b"vibrant, xgzip",
        b"accept-language": b"*;q=0.5",
    }
    found = numbers(fields)
    assert [found[name] for name in ("accept: HTML", "encodings: br", "encodings: gzip")] == [0, 0, 0]
    assert (found["languages: everything"], found["languages: weighted"]) == (1, 1)


def test_a_headless_browser_says_so() -> None:
    brands = b'"HeadlessChrome";v="153", "Chromium";v="153"'
    assert numbers(changed(sec_ch_ua=brands))["hints: of a headless browser"] == 1
    assert parting(changed(user_agent=WINDOWS.replace(b"Chrome/", b"HeadlessChrome/"))) == set()


def test_a_newer_version_of_an_agent_has_the_same_numbers() -> None:
    newer = {**CURL, b"user-agent": b"curl/9.16.1"}
    assert numbers(CURL) == numbers(newer)


def test_agents_that_are_too_long_are_cut_and_told() -> None:
    long = b"x" * 600
    assert numbers({b"user-agent": long})["agent: longer than is looked at"] == 1
    assert numbers({b"user-agent": long}) == numbers({b"user-agent": long + b" crawler"})


def test_who_somebody_is_does_not_go_in() -> None:
    named = {**CHROME, b"cookie": b"session=a", b"authorization": b"Bearer x", b"referer": b"https://a.example/private"}
    other = {**named, b"cookie": b"session=b", b"authorization": b"Basic y", b"referer": b"https://b.example/"}
    assert numbers(named) == numbers(other)
    assert numbers(named)["field: cookie"] == 1


VALUES = [b"", b"x", b"?1", b"navigate", b"same-origin", b"document", b"en;q=0.5", b'"Chromium";v="126"', b"a" * 600]


@pytest.mark.parametrize("name", [*CHROME, b"cookie", b"upgrade", b"x-unusual"])
def test_heads_of_one_identity_have_the_same_numbers(name: bytes) -> None:
    without = {each: value for each, value in CHROME.items() if each != name}
    heads = [CHROME, without, *({**CHROME, name: value} for value in VALUES), {**without, name: CHROME.get(name, b"")}]
    for scheme in (b"http", b"https"):
        requests = [Request(b"GET", b"/", fields, scheme) for fields in heads]
        for one, other in combinations(requests, 2):
            if identity(one) == identity(other):
                assert vector(one).tolist() == vector(other).tolist()


def test_who_asks_for_what_is_no_part_of_the_identity() -> None:
    ann = Request(b"GET", b"/", CHROME | {b"cookie": b"session=ann"}, b"https")
    bob = Request(b"POST", b"/form", CHROME | {b"cookie": b"session=bob"}, b"https")
    assert identity(ann) == identity(bob)


def test_the_numbers_are_the_same_in_every_process() -> None:
    code = (
        "from edgeproxy.features.head import vector; from edgeproxy.http.message import Request; "
        f"print(vector(Request(b'GET', b'/', {CHROME!r}, b'https')).nonzero()[0].tolist())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}, cwd=ROOT
    )
    assert json.loads(told.stdout) == vector(Request(b"GET", b"/", CHROME, b"https")).nonzero()[0].tolist()


def test_floods_of_values_do_not_grow_the_memory() -> None:
    for number in range(3_000):
        value = b"agent%d" % number
        vector(Request(b"GET", b"/", {b"user-agent": value, b"accept": value, b"sec-ch-ua": value, value: b""}))
    assert all(len(memo) <= 1024 for memo in (head._agents, head._orders, head._accepts, head._hints))


@given(st.dictionaries(st.binary(max_size=20), st.binary(max_size=2_000), max_size=100))
def test_any_head_has_numbers(fields: dict[bytes, bytes]) -> None:
    found = vector(Request(b"GET", b"/", fields, b"https"))
    assert float(np.abs(found).max()) <= 1


FIELDS = (b"user-agent", b"accept", b"accept-language", b"accept-encoding", b"sec-ch-ua", b"sec-ch-ua-platform")


@given(st.dictionaries(st.sampled_from(FIELDS), st.text('\x00 ,;="?()*:@%/.09azA\xff', max_size=60)))
def test_values_that_break_the_grammar_have_numbers(fields: dict[bytes, Any]) -> None:
    written = {
        name: b"Mozilla/5.0 (" * (name == b"user-agent") + value.encode("latin-1") for name, value in fields.items()
    }
    assert np.isfinite(vector(Request(b"GET", b"/", CHROME | written, b"https"))).all()


@pytest.mark.bench
def test_a_head_costs_a_few_microseconds() -> None:
    asked = Request(b"GET", b"/", CHROME, b"https")
    start = time.process_time()
    for _ in range(20_000):
        vector(asked)
    assert (time.process_time() - start) / 20_000 < 15e-6
