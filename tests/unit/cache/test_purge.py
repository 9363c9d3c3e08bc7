"""Purges as values: what operators may name, what each kind matches, and which purges were lately."""

from __future__ import annotations

import pytest

from edgeproxy.cache.purge import KINDS, LIMIT, LONGEST, REMEMBERED, Purge, PurgeLog, from_json, named
from edgeproxy.clock import ManualClock

URL = b"http://www.example.com/a"


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        ("url", "HTTP://WWW.example.com:80/x/../a", URL),
        ("prefix", "https://www.example.com", b"https://www.example.com/"),
        ("prefix", "https://www.example.com:8443/b", b"https://www.example.com:8443/b"),
        ("host", "WWW.Example.com.", b"www.example.com"),
        ("host", "bücher.example", b"xn--bcher-kva.example"),
        ("host", "[::1]", b"[::1]"),
        ("tag", "product-17", b"product-17"),
        ("all", "", b""),
    ],
)
def test_names_are_normalised_as_keys_are(kind: str, value: str, normal: bytes) -> None:
    purge = named(kind, value, 5.0, soft=True)
    assert purge == (kind, normal, True, 5.0)
    assert from_json(purge.to_json(), 6.0) == purge._replace(at=6.0)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("url", "/a", "no absolute http or https URL"),
        ("prefix", "www.example.com/a", "no absolute http or https URL"),
        ("prefix", "http://www.example.com/%4", "broken percent-encoding"),
        ("host", "http://www.example.com/", "is no host"),
        ("host", "www.example.com:8080", "www.example.com"),
        ("host", "", "is no host"),
        ("tag", "two words", "is no tag"),
        ("tag", "a,b", "is no tag"),
        ("tag", "", "is no tag"),
        ("tag", "t" * 1025, "is no tag"),
        ("all", "x", "names nothing"),
        ("key", "x", "url, prefix, host, tag, all"),
        ("url", "http://a/" + "x" * LONGEST, "at most"),
    ],
)
def test_what_names_nothing_is_refused_in_words(kind: str, value: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        named(kind, value, 0.0)


@pytest.mark.parametrize(
    ("kind", "value", "matching", "others"),
    [
        (
            "url",
            "http://www.example.com/a",
            [URL, URL + b"#beta"],
            [URL + b"b", URL + b"?x", b"https://www.example.com/a"],
        ),
        ("prefix", "http://www.example.com/a", [URL, URL + b"/b?c", URL + b"#beta"], [b"http://www.example.com/b"]),
        (
            "host",
            "www.example.com",
            [URL, b"https://www.example.com:8443/"],
            [
                b"http://www.example.com.evil.example/",
                b"http://a.www.example.com/",
                b"http://x/?http://www.example.com/",
            ],
        ),
        ("host", "[::1]", [b"http://[::1]/", b"http://[::1]:8080/"], [b"http://[::11]/"]),
        ("all", "", [URL], []),
    ],
)
def test_keys_that_match(kind: str, value: str, matching: list[bytes], others: list[bytes]) -> None:
    purge = named(kind, value, 0.0)
    assert [key for key in matching + others if purge.matches(key, (b"t",))] == matching


def test_a_tag_matches_whole_and_in_its_own_case() -> None:
    purge = named("tag", "red", 0.0)
    assert purge.matches(URL, (b"blue", b"red"))
    assert not purge.matches(URL, (b"reddish", b"Red"))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"kind": "some", "value": "", "soft": False},
        {"kind": "all", "value": "", "soft": 1},
        {"kind": "url", "value": 3, "soft": False},
        {"kind": "url", "value": "x" * (LONGEST + 1), "soft": False},
        {"kind": "tag", "value": "\u20ac", "soft": False},
    ],
)
def test_messages_that_are_no_purge_are_refused(message: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError)):
        from_json(message, 0.0)


def test_a_purge_says_what_it_is() -> None:
    assert [str(Purge(kind, b"x" if kind != "all" else b"", kind == "tag", 0.0)) for kind in KINDS] == [
        "url x",
        "prefix x",
        "host x",
        "soft tag x",
        "all",
    ]


def log(clock: ManualClock, *purges: Purge) -> PurgeLog:
    made = PurgeLog(clock.wall)
    for purge in purges:
        made.add(purge)
    return made


def test_what_a_later_purge_matches_may_not_be_stored() -> None:
    clock = ManualClock(1000)
    kept = log(clock, named("tag", "t", 990), named("url", URL.decode(), 995))
    assert kept.allows(URL, (b"t",), 996)
    assert not kept.allows(URL, (), 995)
    assert not kept.allows(b"http://other/", (b"t",), 989)
    assert kept.allows(b"http://other/", (), 989)
    assert [purge.kind for purge in kept.since(991)] == ["url"]


def test_purges_are_forgotten_after_a_while_and_so_is_what_was_fetched_before_them() -> None:
    clock = ManualClock(1000)
    kept = log(clock, named("tag", "t", 1000), named("tag", "u", 1000 + REMEMBERED + 1))
    clock.advance(REMEMBERED + 2)
    assert repr(kept) == "<PurgeLog 1>"
    assert not kept.allows(URL, (), 1000)  # nobody knows any more what was purged since
    assert kept.allows(URL, (), 1001)


def test_the_number_of_purges_is_bounded() -> None:
    clock = ManualClock(1000)
    kept = log(clock, *[named("tag", f"t{number}", 1000 + number / LIMIT) for number in range(LIMIT + 10)])
    clock.advance(2)
    assert repr(kept) == f"<PurgeLog {LIMIT}>"
    assert not kept.allows(URL, (), 1000)
    assert kept.allows(URL, (), 1000.5)


def test_a_clock_that_is_put_back_does_not_stop_the_storing() -> None:
    clock = ManualClock(10_000)
    kept = log(clock, named("tag", "t", 10_000), named("tag", "u", 10_000 + REMEMBERED + 1))
    clock.advance(-5_000)
    assert kept.allows(URL, (), clock.wall()) is True
