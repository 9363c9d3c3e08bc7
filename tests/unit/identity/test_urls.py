"""Signed URLs: what is signed, and what lets nobody in."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.clock import ManualClock
from edgeproxy.identity.refusals import Refusals
from edgeproxy.identity.urls import Names, UrlCheck, grant, signature
from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange
from tests.support.stages import exchange

SECRET, OTHER = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
NAMES = Names("expires", "keyid", "signature", "folder")
NOW = 1_800_000_000
LATER = NOW + 60

# kind, path, query, expires, client, signature: made with openssl.
PAGE = Path(__file__).parents[3] / "docs" / "signed-urls.md"
VECTORS = [
    [cell.strip().strip("`").encode() for cell in line.strip("|\n").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `edge1-") and line.count("|") == 7
]


def check(clock: ManualClock | None = None, **settings: Any) -> UrlCheck:
    made = UrlCheck(
        settings.pop("secrets", {"a": SECRET, "b": OTHER}),
        NAMES,
        settings.pop("unsigned", ()),
        settings.pop("cookie", b""),
        frozenset(settings.pop("methods", (b"GET", b"HEAD"))),
        settings.pop("networks", None),
        settings.pop("leeway", 0.0),
        Refusals(lambda: None),
        (clock or ManualClock(NOW)).wall,
        hide=settings.pop("hide", True),
    )
    assert not settings
    return made


def signed(path: bytes, query: bytes = b"", *, folder: bool = False, **given: Any) -> bytes:
    made = {"secret": SECRET, "key_id": "a", "expires": LATER, "client": b""} | given
    text = grant(made["secret"], NAMES, made["key_id"], path, query, made["expires"], made["client"], folder=folder)
    return text.encode()


def link(path: bytes, query: bytes = b"", **given: Any) -> bytes:
    return path + b"?" + (query + b"&" if query else b"") + signed(path, query, **given)


def why(made: UrlCheck, x: Exchange) -> str:
    """Why it is refused, "" if it is not."""
    answer = made.check(x)
    assert answer is None or (answer.status, answer.get(b"cache-control")) == (403, b"no-store")
    return "" if answer is None else bytes(answer.body).decode().removeprefix("403 ").strip()  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "path", "query", "expires", "client", "expected"), VECTORS)
def test_vectors(kind: bytes, path: bytes, query: bytes, expires: bytes, client: bytes, expected: bytes) -> None:
    assert signature(SECRET, kind, path, query, expires, client) == expected


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_makes_the_same_as_is_said() -> None:
    command = re.search(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert command is not None
    assert subprocess.check_output(["sh", "-c", command[1]]).split()[-1] == VECTORS[0][-1]


def test_the_pages_python_makes_the_same() -> None:
    code = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert code is not None
    definition, call = code[1].rstrip().rsplit("\n", 1)
    names: dict[str, Any] = {}
    exec(definition, names)
    assert eval(call, names).encode() == VECTORS[0][-1]


def test_the_page_has_vectors_of_both_kinds() -> None:
    assert [vector[0] for vector in VECTORS] == [b"edge1-url", b"edge1-folder", b"edge1-url", b"edge1-url"]


def test_a_signed_url_passes_without_its_signature() -> None:
    x = exchange(link(b"/video/42.mp4", b"quality=high&x=%20"))
    assert why(check(), x) == ""
    assert (x.request.target, x.request.query) == (b"/video/42.mp4?quality=high&x=%20", b"quality=high&x=%20")
    x = exchange(link(b"/video/42.mp4"))
    assert why(check(), x) == ""
    assert (x.request.target, x.request.query) == (b"/video/42.mp4", b"")


def test_the_signatures_parameters_may_stand_anywhere() -> None:
    one, two, three = signed(b"/v", b"a=1&b=2").split(b"&")
    assert why(check(), exchange(b"/v?" + b"&".join([three, b"a=1", one, b"b=2", two]))) == ""


CHANGED = "The signature does not fit this link."
UNSIGNED = "This link is not signed."
INCOMPLETE = "The signature of this link is not complete, or its key is not in use any more."


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (b"/v", UNSIGNED),
        (b"/v?a=1", UNSIGNED),
        (link(b"/v", b"a=1").replace(b"/v?", b"/w?"), CHANGED),
        (link(b"/v", b"a=1").replace(b"a=1", b"a=2"), CHANGED),
        (link(b"/v", b"a=1").replace(b"a=1", b"a=1&c=3"), CHANGED),
        (link(b"/v", b"a=1&b=2").replace(b"a=1&b=2", b"b=2&a=1"), CHANGED),
        (link(b"/v", b"a=1").replace(b"a=1&", b""), CHANGED),
        (link(b"/v").replace(b"%d" % LATER, b"%d" % (LATER + 1)), CHANGED),
        (link(b"/v").replace(b"keyid=a", b"keyid=b"), CHANGED),
        (link(b"/v").replace(b"keyid=a", b"keyid=c"), INCOMPLETE),
        (link(b"/v").replace(b"keyid=a&", b""), INCOMPLETE),
        (link(b"/v").replace(b"expires=", b"expires=%2B"), INCOMPLETE),
        (link(b"/v").replace(b"expires=", b"expires=-"), INCOMPLETE),
        (link(b"/v")[:-1], CHANGED),
        (link(b"/v") + b"0", CHANGED),
        (link(b"/v")[:-64], CHANGED),
        (link(b"/v")[:-64] + link(b"/v")[-64:].upper(), CHANGED),
        (link(b"/v") + b"&signature=0", "This link has a part of its signature twice."),
        (b"/v?expires=1&" + signed(b"/v"), "This link has a part of its signature twice."),
        (link(b"/v", secret=b"x" * 32), CHANGED),
    ],
)
def test_what_was_not_signed_so_is_refused_with_the_reason(target: bytes, said: str) -> None:
    x = exchange(target)
    assert why(check(), x) == said
    assert b"signature" not in x.request.target


def test_a_link_expires_the_leeway_after_its_moment() -> None:
    clock = ManualClock(NOW)
    made = check(clock, leeway=5.0)
    clock.advance(64)
    assert why(made, exchange(link(b"/v"))) == ""
    clock.advance(1)
    assert why(made, exchange(link(b"/v"))) == "This link has expired."


def test_each_key_signs_and_one_taken_out_does_not() -> None:
    target = link(b"/v", secret=OTHER, key_id="b")
    assert why(check(), exchange(target)) == ""
    assert why(check(secrets={"a": SECRET}), exchange(target)) == INCOMPLETE


def test_a_link_is_for_the_methods_it_is_for() -> None:
    assert why(check(), exchange(link(b"/v"), method=b"HEAD")) == ""
    assert why(check(), exchange(link(b"/v"), method=b"PUT")) == "This link is not for such a request."
    assert why(check(methods=(b"PUT",)), exchange(link(b"/v"), method=b"PUT")) == ""


def test_parameters_that_are_not_signed_may_be_added_and_changed() -> None:
    made = check(unsigned=("utm_*", "t"))
    x = exchange(link(b"/v", b"a=1") + b"&utm_source=x&t=7")
    assert why(made, x) == ""
    assert x.request.query == b"a=1&utm_source=x&t=7"
    assert why(made, exchange(link(b"/v", b"a=1") + b"&b=7")) == CHANGED


@pytest.mark.parametrize("path", [b"/hls/42/", b"/hls/42/index.m3u8", b"/hls/42/720p/1.ts", b"/hls/42/a%20b"])
def test_a_folders_signature_is_good_for_all_below_it(path: bytes) -> None:
    x = exchange(path + b"?part=1&" + signed(b"/hls/42/", folder=True))
    assert why(check(), x) == ""
    assert x.request.target == path + b"?part=1"


@pytest.mark.parametrize(
    "path",
    [
        b"/hls/43/index.m3u8",
        b"/hls/42",
        b"/hls/420/a",
        b"/",
        b"/hls/42/%2e%2e%2fsecret",
        b"/hls/42/..%2Fsecret",
        b"/hls/42/..%5csecret",
        b"/hls/42/..\\secret",
        b"/hls/42/..;/secret",
        b"//hls/42/a",
    ],
)
def test_and_for_nothing_else(path: bytes) -> None:
    target = path + b"?" + signed(b"/hls/42/", folder=True)
    assert why(check(), exchange(target)) == "This link is for another folder."


def test_one_kind_of_signature_does_not_pass_for_the_other() -> None:
    folder = signed(b"/v/", folder=True).replace(b"folder=%2Fv%2F&", b"")
    assert why(check(), exchange(b"/v/?" + signed(b"/v/", folder=True))) == ""
    assert why(check(), exchange(b"/v/?" + folder)) == CHANGED
    assert why(check(), exchange(b"/v/a?folder=/v/&" + signed(b"/v/"))) == CHANGED
    assert why(check(), exchange(b"/v/a?" + folder)) == CHANGED
    wide = signed(b"/v/a").replace(b"expires", b"folder=%2Fv%2F&expires")
    assert why(check(), exchange(b"/v/a?" + wide)) == CHANGED
    assert why(check(), exchange(b"/v/a?folder=%2F&" + signed(b"/v/a"))) == CHANGED
    assert why(check(), exchange(b"/v/a?folder=&" + signed(b"/v/a"))) == "This link is for another folder."
    assert why(check(), exchange(b"/v/a?folder=/v&" + signed(b"/v", folder=True))) != ""


def test_a_cookie_may_hold_the_signature_and_goes_no_further() -> None:
    made = check(cookie=b"pass")
    value = signed(b"/hls/", folder=True)
    x = exchange(b"/hls/1.ts?a=1", {b"cookie": b"x=1; pass=" + value})
    assert why(made, x) == ""
    assert (x.request.target, x.request.headers) == (b"/hls/1.ts?a=1", {b"cookie": b"x=1"})
    x = exchange(b"/other", {b"cookie": b"pass=" + value})
    assert why(made, x) == "This link is for another folder."
    assert x.request.headers == {}
    assert why(check(), exchange(b"/hls/1.ts", {b"cookie": b"pass=" + value})) == UNSIGNED


def test_a_links_own_signature_goes_before_the_cookie() -> None:
    made = check(cookie=b"pass")
    x = exchange(link(b"/v"), {b"cookie": b"pass=expires=1"})
    assert (why(made, x), x.request.headers) == ("", {})


def test_a_link_for_one_network_is_good_in_that_one() -> None:
    made = check(networks=Networks(24, 64))
    target = link(b"/v", client=b"192.0.2.0/24")
    assert why(made, exchange(target, client="192.0.2.200")) == ""
    assert why(made, exchange(target, client="192.0.3.1")) == CHANGED
    assert why(made, exchange(link(b"/v"), client="192.0.2.200")) == CHANGED
    assert why(check(), exchange(target, client="192.0.2.200")) == CHANGED


def test_without_hiding_the_signature_stays() -> None:
    x = exchange(link(b"/v"), {b"cookie": b"pass=x"})
    target = x.request.target
    assert why(check(hide=False, cookie=b"pass"), x) == ""
    assert (x.request.target, x.request.headers) == (target, {b"cookie": b"pass=x"})


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_let_anybody_in_or_raise(query: bytes, cookies: bytes) -> None:
    made = check(cookie=b"pass", unsigned=("u*",), networks=Networks(24, 64))
    for target in (b"/v?" + query, b"/v?keyid=a&expires=9999999999&signature=" + query):
        assert why(made, exchange(target, {b"cookie": b"pass=" + cookies})) != ""


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=1))
def test_no_changed_byte_of_a_link_lets_anybody_in(at: int, byte: bytes) -> None:
    target = link(b"/v", b"a=1")
    changed = bytearray(target)
    changed[1 + at % (len(target) - 1)] = byte[0]
    if bytes(changed) != target:
        assert why(check(), exchange(bytes(changed))) != ""


def test_what_is_signed_is_what_was_asked_for_and_not_what_a_stage_made_of_it() -> None:
    asked = link(b"/small/a.jpg", b"width=80")

    def made_of(asked: bytes) -> Exchange:
        x = exchange(b"/a.jpg?" + asked.partition(b"?")[2].partition(b"&")[2])
        x.asked = asked
        return x

    x = made_of(asked)
    assert why(check(), x) == ""
    assert x.request.target == b"/a.jpg"
    assert why(check(), made_of(asked.replace(b"width=80", b"width=81"))) == "The signature does not fit this link."
    assert why(check(), made_of(asked.replace(b"/small/", b"/large/"))) == "The signature does not fit this link."
