"""Heads of browsers, tools and liars come to different numbers, the same ones every time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.features.head import LENGTH, NAMES, WORDS, vector
from edgeproxy.http.message import Request
from tests.support.stages import CHROME

CURL = {b"host": b"a.example", b"user-agent": b"curl/8.5.0", b"accept": b"*/*"}
FIREFOX = b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def numbers(fields: dict[bytes, bytes], version: bytes = b"1.1") -> dict[str, float]:
    found = vector(Request(b"GET", b"/", fields, version=version))
    assert (found.dtype, found.shape) == (np.dtype(np.float32), (LENGTH,))
    return dict(zip(NAMES, map(float, found), strict=True))


def test_names_stand_for_one_number_each() -> None:
    assert len(set(NAMES)) == LENGTH


def test_a_browser_and_a_tool_are_told_apart() -> None:
    browser, tool = numbers(CHROME), numbers(CURL)
    assert (browser["agent: Chrome"], browser["has sec-ch-ua"], browser["accept: pages"]) == (1, 1, 1)
    assert browser["client hints of another version"] == browser["a browser without sec-fetch"] == 0
    assert (tool["accept: everything"], tool["agent: Mozilla/5.0"], tool["host first"]) == (1, 0, 1)
    assert tool["fields"] < browser["fields"]


def test_fields_that_do_not_fit_the_agent_show() -> None:
    bare = numbers({**CURL, b"user-agent": CHROME[b"user-agent"]})
    assert bare["Chrome without client hints"] == bare["a browser without sec-fetch"] == 1
    assert numbers({**CHROME, b"user-agent": FIREFOX})["client hints of another"] == 1
    assert numbers({**CHROME, b"sec-ch-ua": b'"Chromium";v="99"'})["client hints of another version"] == 1
    assert numbers({**CURL, b"sec-fetch-site": b"none"})["sec-fetch of nobody"] == 1


def test_the_order_counts() -> None:
    turned = dict(reversed(CURL.items()))
    assert numbers(CURL)["agent before accept"] == 1
    assert numbers(turned)["agent before accept"] == numbers(turned)["host first"] == 0


def test_a_newer_version_of_an_agent_has_the_same_words() -> None:
    newer = {**CURL, b"user-agent": b"curl/9.6.1"}
    assert vector(Request(b"GET", b"/", CURL))[:WORDS].tolist() == vector(Request(b"GET", b"/", newer))[:WORDS].tolist()
    assert numbers(CURL, b"1.0")["HTTP/1.0"] == 1


def test_who_somebody_is_does_not_go_in() -> None:
    named = {**CHROME, b"cookie": b"session=another", b"authorization": b"Bearer x"}
    other = {**named, b"cookie": b"session=b", b"authorization": b"Basic y", b"referer": b"https://a.example/private"}
    without = {name: value for name, value in numbers(named).items() if "referer" not in name}
    for name in ("has cookie", "has authorization"):
        assert without[name] == numbers(other)[name] == 1


@given(st.dictionaries(st.binary(max_size=20), st.binary(max_size=2_000), max_size=60))
def test_any_head_has_numbers(fields: dict[bytes, bytes]) -> None:
    found = vector(Request(b"GET", b"/", fields))
    assert np.isfinite(found).all()
    assert float(found.max(initial=0)) <= 0.25 * 64
