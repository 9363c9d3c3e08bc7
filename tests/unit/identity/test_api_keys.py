"""API keys: how they are made, stored, and asked for."""

from __future__ import annotations

import re
from hashlib import sha256
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.clock import ManualClock
from edgeproxy.identity.api_keys import KeyCheck, line_of, new_key, parse_key, parse_keys, parse_time
from edgeproxy.identity.places import place
from edgeproxy.identity.refusals import Failures, Refusals
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.exchange import Exchange
from tests.support.stages import exchange

DIGEST = "sha256:" + "0" * 64
SHOP, ADMIN, OLD = ("epk_" + sha256(name).hexdigest()[:43] for name in (b"shop", b"admin", b"old"))
LINES = (
    line_of("shop", SHOP, ["orders:read"]),
    line_of("admin", ADMIN, ["orders:read", "orders:write"]),
    line_of("old", OLD, ["orders:read", "orders:write"], 1_800_000_000.0),
)


def check(clock: ManualClock | None = None, **settings: Any) -> KeyCheck:
    made = KeyCheck(
        tuple(place(one) for one in settings.pop("places", ["header:x-api-key"])),
        frozenset(settings.pop("require", ())),
        settings.pop("field", b""),
        Refusals(lambda: None, b'Bearer realm="edge"'),
        Failures(Limiter(60.0, 3, 100)),
        (clock or ManualClock(1_799_999_999.0)).wall,
        hide=settings.pop("hide", True),
        optional=settings.pop("optional", False),
    )
    assert not settings
    made.known = parse_keys(LINES)
    return made


def bearing(key: str, **given: Any) -> Exchange:
    return exchange(headers={b"x-api-key": key.encode(), b"accept": b"*/*"}, **given)


def outcome(made: KeyCheck, x: Exchange) -> tuple[int, str]:
    answer = made.check(x)
    return 200 if answer is None else answer.status, x.identity


def test_a_known_key_passes_as_its_name_and_is_gone_behind() -> None:
    x = bearing(SHOP)
    assert outcome(check(), x) == (200, "shop")
    assert x.request.headers == {b"accept": b"*/*"}


def test_who_bears_none_or_an_unknown_one_is_refused() -> None:
    for x in (exchange(), bearing(SHOP[:-1]), bearing(SHOP + "x"), bearing(""), bearing("x" * 5000)):
        assert outcome(check(), x) == (401, "")


def test_the_digest_is_no_key() -> None:
    digest, _ = parse_key(LINES[0])
    assert outcome(check(), exchange(headers={b"x-api-key": digest})) == (401, "")
    assert outcome(check(), bearing(digest.hex())) == (401, "")


def test_a_key_ends_when_it_expires() -> None:
    clock = ManualClock(1_799_999_999.0)
    made = check(clock)
    assert outcome(made, bearing(OLD)) == (200, "old")
    clock.advance(1)
    assert outcome(made, bearing(OLD)) == (401, "")


def test_all_required_scopes_are_required() -> None:
    made = check(require=["orders:read", "orders:write"])
    assert outcome(made, bearing(ADMIN)) == (200, "admin")
    assert outcome(made, bearing(SHOP)) == (403, "")


def test_without_a_key_one_passes_as_nobody_where_it_is_optional() -> None:
    made = check(optional=True, field=b"x-client")
    x = exchange(headers={b"x-client": b"admin", b"x_client": b"admin"})
    assert outcome(made, x) == (200, "")
    assert x.request.headers == {}
    assert outcome(made, bearing("unknown")) == (401, "")


def test_the_origin_is_told_the_name_and_not_what_the_client_says() -> None:
    x = bearing(SHOP)
    x.request.headers |= {b"x-client": b"admin", b"x_client": b"admin"}
    assert outcome(check(field=b"x-client"), x) == (200, "shop")
    assert x.request.headers == {b"accept": b"*/*", b"x-client": b"shop"}


def test_the_first_key_found_counts_and_none_goes_on() -> None:
    made = check(places=["header:x-api-key", "query:key", "cookie:key"])
    x = exchange(f"/a?key={ADMIN}&b=1".encode(), {b"x-api-key": SHOP.encode(), b"cookie": b"key=" + ADMIN.encode()})
    assert outcome(made, x) == (200, "shop")
    assert (x.request.target, x.request.query, x.request.headers) == (b"/a?b=1", b"b=1", {})


def test_too_many_unknown_keys_of_a_network_get_429_and_good_ones_pass_still() -> None:
    made = check()
    assert [outcome(made, bearing("no"))[0] for _ in range(4)] == [401, 401, 401, 429]
    answer = made.check(bearing("no"))
    assert answer is not None
    assert answer.get(b"retry-after") == b"60"
    assert outcome(made, bearing(SHOP)) == (200, "shop")
    assert outcome(made, bearing("no", client="192.0.2.8"))[0] == 401


@given(st.binary(max_size=700), st.binary(max_size=100), st.binary(max_size=100))
def test_no_bytes_let_anybody_in_or_raise(value: bytes, query: bytes, cookies: bytes) -> None:
    made = check(places=["header:x-api-key", "authorization:bearer", "query:key", "cookie:key"])
    headers = {b"x-api-key": value, b"authorization": b"Bearer " + value, b"cookie": cookies}
    assert outcome(made, exchange(b"/?key=" + query, headers))[0] in (401, 429)


def test_new_keys_differ_and_their_lines_hold_their_digest_alone() -> None:
    assert len({new_key() for _ in range(100)}) == 100
    assert re.fullmatch(r"epk_[A-Za-z0-9_-]{43}", SHOP)
    assert SHOP not in LINES[0]
    assert parse_key(LINES[1])[1] == ("admin", {"orders:read", "orders:write"}, inf)
    assert parse_key(LINES[2])[1].expires == 1_800_000_000.0


@pytest.mark.parametrize(
    "key", ["", "short", "x" * 64, "abcdefghijk" * 4, "é" * 40, "a b c d e f g h i j k l m n o p q", "x1y2z3" * 200]
)
def test_keys_that_could_be_guessed_or_not_be_sent_are_not_stored(key: str) -> None:
    with pytest.raises(ValueError, match="a key has"):
        line_of("shop", key)


BROKEN = [
    ("", "does not begin with a name"),
    ("a:b " + DIGEST, "does not begin with a name"),
    ("shop", "not followed by sha256:"),
    ("shop " + SHOP, "not followed by sha256:"),
    ("shop sha256:" + "0" * 63, "not followed by sha256:"),
    ("shop sha256:" + "A" * 64, "not followed by sha256:"),
    (f"shop {DIGEST} scope=a", "only scopes= and expires="),
    (f"shop {DIGEST} scopes=", "scopes= is followed by scopes"),
    (f"shop {DIGEST} scopes=a,,b", "scopes= is followed by scopes"),
    (f"shop {DIGEST} expires=soon", "expires= is followed by a date"),
]


@pytest.mark.parametrize(("line", "why"), BROKEN)
def test_broken_lines_are_refused_without_being_repeated(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        parse_keys(["# a comment", "", line or "!"])
    assert str(raised.value).startswith("line 3: ")
    assert SHOP not in str(raised.value)


def test_one_key_has_one_name_and_one_name_may_have_several_keys() -> None:
    with pytest.raises(ValueError, match="line 2: the key of shop once more"):
        parse_keys([LINES[0], line_of("other", SHOP)])
    assert len(parse_keys([LINES[0], line_of("shop", ADMIN)])) == 2


@given(st.text(max_size=80))
def test_any_line_is_a_key_or_a_value_error(line: str) -> None:
    try:
        parse_key(line)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2027-01-15", 1_799_971_200.0),
        ("2027-01-15T08:00:00Z", 1_800_000_000.0),
        ("2027-01-15T08:00:00", 1_800_000_000.0),
        ("2027-01-15T10:00:00+02:00", 1_800_000_000.0),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds
