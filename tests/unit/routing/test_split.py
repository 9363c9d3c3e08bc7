"""Draws: their shares, what growing does to them, and what they make of an exchange."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.config.snapshot import Route
from edgeproxy.http.message import Response
from edgeproxy.pipeline.chain import compile_chain
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.routing.pools import Pools
from edgeproxy.routing.split import ROUTES, Arm, Split, Splits, Tally
from tests.support.stages import exchange, route
from tests.unit.routing.test_pools import Named

KEYS = [b"192.0.%d.%d" % (number >> 8, number & 255) for number in range(20_000)]


def arms(**shares: float) -> list[Arm]:
    return [Arm(name, share, None, "", (), ()) for name, share in shares.items()]


def split(name: str = "test", **shares: float) -> Split:
    return Split(name, arms(**shares), lambda x: x.client.encode())


def members(each: Split, place: int, keys: Iterable[bytes] = KEYS) -> set[bytes]:
    return {key for key in keys if each.drawn(key) == place}


class Tallies:
    """The numbers of every arm, as a stage's metrics have them."""

    def __init__(self) -> None:
        self.ok: dict[str, list[float]] = {}
        self.errors: dict[str, list[float]] = {}
        self.seconds: dict[str, list[float]] = {}

    def __call__(self, split: str, arm: str) -> Tally:
        name = f"{split}={arm}"
        self.ok[name], self.errors[name], self.seconds[name] = [0.0], [0.0], [0.0, 0.0, 0.0]
        return Tally(self.ok[name], self.errors[name], self.seconds[name], (1.0,))


def splits(*each: Split, vary: tuple[bytes, ...] = (), enforced: bool = True) -> Splits:
    return Splits(each, Tallies(), vary, enforced=enforced)


@pytest.mark.parametrize(
    "shares", [{"a": 0.0, "b": 0.01}, {"a": 0.0, "b": 0.5}, {"a": 0.0, "b": 0.05, "c": 0.2, "d": 0.3}]
)
def test_arms_have_their_shares_within_one_percent_of_all_keys(shares: dict[str, float]) -> None:
    drawn = Counter(map(split(**shares).drawn, KEYS))
    for place, share in enumerate(shares.values()):
        wanted = share if place else 1 - sum(shares.values())
        assert abs(drawn[place] / len(KEYS) - wanted) < 0.01


def test_an_arm_that_has_all_leaves_none_and_one_without_a_share_has_none() -> None:
    assert Counter(map(split(a=0, b=0, c=1).drawn, KEYS)) == {2: len(KEYS)}


@pytest.mark.parametrize(("before", "after"), [(0.01, 0.05), (0.05, 0.5), (0.5, 1.0)])
def test_an_arm_that_grows_keeps_all_it_had(before: float, after: float) -> None:
    assert members(split(a=0, b=before), 1) < members(split(a=0, b=after), 1)


def test_of_several_arms_the_one_that_grows_keeps_all_and_the_others_lose_no_one_to_each_other() -> None:
    before, after = split(a=0, b=0.1, c=0.1), split(a=0, b=0.1, c=0.3)
    assert members(before, 2) < members(after, 2)
    assert members(before, 1) == members(after, 1)
    earlier = split(a=0, b=0.2, c=0.1)
    assert members(before, 1) < members(earlier, 1)


def test_draws_are_the_same_on_every_node_and_after_every_release() -> None:
    drawn = [split("checkout", a=0, b=0.5).drawn(b"192.0.2.%d" % number) for number in range(24)]
    assert "".join(map(str, drawn)) == "001011011101101111001111"


def test_two_splits_draw_independently() -> None:
    first, second = members(split("one", a=0, b=0.5), 1), members(split("two", a=0, b=0.5), 1)
    assert abs(len(first & second) / len(KEYS) - 0.25) < 0.01


def test_who_has_no_key_is_in_the_first_arm() -> None:
    assert {split(a=0, b=1).drawn(key) for key in (b"", b"\0", b"\0\0")} == {0}


@given(st.binary(max_size=64), st.lists(st.floats(0, 0.25), min_size=1, max_size=4))
def test_every_key_is_in_an_arm(key: bytes, shares: list[float]) -> None:
    each = Split("s", arms(first=0, **{f"arm{place}": share for place, share in enumerate(shares)}), lambda x: key)
    assert 0 <= each.drawn(key) <= len(shares)


# What it makes of an exchange.


def two(**more: object) -> Split:
    one = Arm("old", 0.0, None, "", ((b"x-arm", b"old"),), ((b"x-told", b"old"),))
    other = Arm("new", 1.0, None, "canary", ((b"x-arm", b"new"), (b"x-new", b"1")), ((b"x-told", b"new"),))
    return Split("test", [one, other], lambda x: x.request.headers.get(b"x-user", b""), **more)  # type: ignore[arg-type]


def begun(headers: dict[bytes, bytes] | None = None) -> Exchange:
    x = exchange(headers=headers or {})
    x.route = Route("site", compile_chain([]), Pools(Named("own"), {"canary": Named("canary")}), b"part")
    return x


async def test_an_arm_has_its_pool_its_fields_its_part_of_the_cache_and_a_word_in_the_log() -> None:
    stage, bodies = splits(two()), []
    for user, name in ((b"", b"old"), (b"u", b"new")):
        x = begun({b"x-user": user, b"x-arm": b"forged", b"x-new": b"forged"})
        stage.request(x)
        assert x.request.headers.get(b"x-arm") == name
        assert x.request.headers.get(b"x-new") == (b"1" if user else None)
        assert x.route.partition == b"part@test=" + name
        assert x.tags == (f"test={name.decode()}",)
        assert x.route.name == "site"
        response = Response(200, {b"x-told": b"origin"})
        stage.response(x, response)
        assert response.headers() == {b"x-told": name}
        bodies.append((await x.route.origin.fetch(x)).body)
    assert bodies == [b"own", b"canary"]


def test_several_splits_are_told_apart_by_all_their_arms() -> None:
    stage = splits(split("a", x=0, y=0.5), split("b", x=0, y=0.5))
    marks = set()
    for number in range(64):
        x = begun()
        x.client = f"192.0.2.{number}"
        stage.request(x)
        marks.add(x.route.partition)
    assert marks == {b"part@a=%b,b=%b" % (one, other) for one in (b"x", b"y") for other in (b"x", b"y")}


def test_observed_arms_are_noted_and_change_nothing() -> None:
    x = begun({b"x-user": b"u", b"x-arm": b"kept"})
    before = x.route
    splits(two(), enforced=False).request(x)
    assert (x.route, x.request.headers[b"x-arm"], x.tags) == (before, b"kept", ("test=new",))


def test_what_is_asked_for_on_behalf_of_another_goes_that_ones_way_and_what_nobody_asked_for_the_first() -> None:
    stage = splits(two())
    x = begun({b"x-user": b"u"})
    stage.request(x)
    source, prefetched = begun(), begun({b"x-user": b"u"})
    source.aside = prefetched.aside = True
    source.arms = x.arms
    stage.request(source)
    stage.request(prefetched)
    assert source.route is x.route or source.route.partition == x.route.partition
    assert prefetched.route.partition == b"part@test=old"


def test_arms_of_another_stage_are_not_taken_for_its_own() -> None:
    x = begun({b"x-user": b"u"})
    splits(two()).request(x)
    other = splits(split("other", a=0, b=0))
    response = Response(200)
    other.response(x, response)
    other.log(x)
    assert not response.headers()
    other.request(x)
    assert x.arms is not None
    assert x.arms.names == ("other=a",)


def test_a_visitor_draws_a_number_once_and_keeps_it() -> None:
    each = Split("test", arms(a=0, b=0.5), None, b"split-test", b"; Path=/")
    stage = splits(each, vary=(b"cookie",))
    x = begun()
    stage.request(x)
    response = Response(200, {b"cache-control": b"max-age=60"})
    stage.response(x, response)
    line = response.get(b"set-cookie") or b""
    name, _, rest = line.partition(b"=")
    number = rest.partition(b";")[0]
    assert (name, number.isdigit(), rest.partition(b";")[2]) == (b"split-test", True, b" Path=/")
    assert response.get(b"cache-control") == b"max-age=60, private"
    again = begun({b"cookie": b"a=1; split-test=" + number})
    stage.request(again)
    told = Response(200)
    stage.response(again, told)
    assert again.route.partition == x.route.partition
    assert told.headers() == {b"vary": b"cookie"}


@pytest.mark.parametrize("told", [b"", b"-1", b"x", b"1234567", b"1\xb2", b"9" * 5000])
def test_a_number_that_nobody_drew_is_drawn_anew(told: bytes) -> None:
    stage = splits(Split("test", arms(a=0, b=0.5), None, b"split-test"))
    x = begun({b"cookie": b"split-test=" + told})
    stage.request(x)
    assert x.arms is not None
    assert len(x.arms.cookies) == 1


def test_the_cookie_is_secure_where_the_client_came_by_tls() -> None:
    stage = splits(Split("test", arms(a=0, b=0.5), None, b"split-test"))
    x = exchange(scheme=b"https")
    stage.request(x)
    assert x.arms is not None
    assert x.arms.cookies[0].endswith(b"; Secure")


def test_arms_count_their_requests_errors_and_times() -> None:
    tallies = Tallies()
    stage = Splits([two()], tallies)
    for status, error, took in ((200, "", 0.5), (503, "", 2.0), (502, "dns", 2.0), (0, "client_gone", 0.25)):
        x = begun({b"x-user": b"u"})
        stage.request(x)
        x.status, x.error, x.ended = status, error, x.started + took
        stage.log(x)
    unanswered = begun({b"x-user": b"u"})
    stage.request(unanswered)
    stage.log(unanswered)
    assert (tallies.ok["test=new"], tallies.errors["test=new"]) == ([2.0], [2.0])
    assert tallies.seconds["test=new"] == [2.0, 2.0, 4.75]
    assert tallies.ok["test=old"] == [0.0]


def test_the_routes_that_are_remembered_have_a_bound() -> None:
    stage = splits(split(a=0, b=0.5))
    for _ in range(ROUTES + 10):
        x = exchange()
        x.route = route()
        stage.request(x)
    assert len(stage._routes) <= ROUTES
