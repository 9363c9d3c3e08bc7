"""URL Patterns: what they match, by the URL Pattern Standard's own meaning, and what is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.compression.patterns import LONGEST, MOST_WILDCARDS, Pattern, PatternError

SITE = "https://a.test"


@pytest.mark.parametrize(
    ("pattern", "target"),
    [
        ("/app.js", b"/app.js"),
        ("/app.js", b"/app.js?v=2"),  # a query that is not named is any
        ("/assets/app.*.js", b"/assets/app.2f.js"),
        ("/assets/app.*.js", b"/assets/app..js"),
        ("/assets/app.*.js", b"/assets/app.a/b.js"),  # unlike a name, * crosses slashes
        ("/product/*", b"/product/"),
        ("/app/*/main.js", b"/app/1/2/main.js"),
        ("*", b"/assets/anything"),
        ("/*a*b*", b"/xxaxxbxx"),
        ("/*ab*ab", b"/abab"),
        ("/app/:version/main.js", b"/app/1.2/main.js"),
        ("/:kind/app.:hash.js", b"/js/app.3f.js"),
        ("/:kind/*", b"/js/a/b"),
        ("/d%C3%BCsseldorf", b"/d%C3%BCsseldorf"),
        ("/app?v=*", b"/app?v=2"),
        ("/app?v=2&w=*", b"/app?v=2&w="),
        ("https://a.test/app.*.js", b"/app.2.js"),
        ("app.*.js", b"/assets/app.2.js"),  # beside the answer that says so
    ],
)
def test_what_a_pattern_covers(pattern: str, target: bytes) -> None:
    assert Pattern(pattern, SITE, "/assets/app.1.js?x=/y").covers(target)


@pytest.mark.parametrize(
    ("pattern", "target"),
    [
        ("/app.js", b"/appxjs"),
        ("/app.js", b"/app.js/"),
        ("/app.js", b"/App.js"),
        ("/assets/app.*.js", b"/assets/app.2.css"),
        ("/assets/app.*.js", b"/assets/app.js"),
        ("/product/*", b"/product"),
        ("/*ab*ab", b"/ab"),
        ("/app/:version/main.js", b"/app/1/2/main.js"),
        ("/app/:version/main.js", b"/app//main.js"),
        ("/app?v=*", b"/app"),
        ("/app?v=*", b"/app?w=1"),
        ("app.*.js", b"/app.2.js"),
        ("/a", b"/a\n"),
    ],
)
def test_what_it_does_not(pattern: str, target: bytes) -> None:
    assert not Pattern(pattern, SITE, "/assets/app.1.js").covers(target)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/" * (LONGEST + 1),
        "/(.*)",
        "/app.(\\d+).js",
        "/{app}",
        "/{app}?.js",
        "/app.**.js",
        "/app.*?.js",
        "/app.*+",
        "/app.:v*",
        "/app.:v?x",
        "/app.:v+",
        "/:a:b",
        "/:a/:a",
        "/app.:v.*",
        "/*/:v",
        "/:",
        "/a:/b",
        "/a\\*b",
        "/a b",
        "/ä",
        "/a#b",
        "/%zz",
        "/../a",
        "/a/./b",
        "?v=*",
        "/a?b?c",
        "/a?:v",
        "https://b.test/app.js",
        "//b.test/app.js",
        "https://*/app.js",
        "*://a.test/app.js",
        "/" + "*a" * (MOST_WILDCARDS + 1),
    ],
)
def test_what_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Pattern(pattern, SITE, "/assets/app.1.js")


def test_many_wildcards_take_no_longer_than_the_target_is_long() -> None:
    pattern = Pattern("/" + "*a" * (MOST_WILDCARDS - 1) + "*!")
    started = time.process_time()
    assert not pattern.covers(b"/" + b"a" * 30_000)
    assert time.process_time() - started < 0.1


@given(st.text(max_size=40), st.binary(max_size=60))
def test_no_pattern_and_no_target_is_a_surprise(text: str, target: bytes) -> None:
    try:
        pattern = Pattern(text, SITE, "/assets/app.1.js")
    except PatternError:
        return
    pattern.covers(target)


@given(st.text(alphabet="/ab.*:?x%=2", max_size=16))
def test_nor_one_of_likely_characters(text: str) -> None:
    test_no_pattern_and_no_target_is_a_surprise.hypothesis.inner_test(text, b"/a.b/x?a=2")  # type: ignore[attr-defined]
