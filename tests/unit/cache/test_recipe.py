"""Recipes: which requests share a key, which never do, and what the origin and a purge are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache import key
from edgeproxy.cache.recipe import (
    PLAIN,
    RECIPE_LIMIT,
    TRACKING,
    VALUE_LONGEST,
    Query,
    Recipe,
    Recipes,
    compose,
    device,
)
from edgeproxy.pipeline.exchange import NOWHERE, Place
from tests.support.stages import CHROME, exchange, route

BETA = route(name="beta", partition=b"beta")


def keyed(recipe: Recipe, target: bytes = b"/", authority: bytes = b"a.example", **fields: bytes) -> bytes:
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return recipe.of(exchange(target, headers, authority=authority))


def query(recipe: Recipe, text: bytes) -> bytes:
    return key.target_of(keyed(recipe, b"/?" + text)).partition(b"?")[2]


def test_the_plain_recipe_is_the_url_as_it_was_normalised_and_the_routes_partition() -> None:
    assert compose() is PLAIN
    x = exchange(b"/a?b=1&a=2", authority=b"a.example:81", scheme=b"https")
    assert PLAIN.of(x) == b"https://a.example:81/a?b=1&a=2"
    x.route = BETA
    assert PLAIN.of(x) == b"https://a.example:81/a?b=1&a=2#beta"


def test_a_partition_stands_in_the_key_of_every_recipe() -> None:
    recipe = compose(device=True)
    x = exchange()
    plain = recipe.of(x)
    x.route = BETA
    assert recipe.of(x) != plain
    assert b"#beta!" in recipe.of(x)


# -- query --


@pytest.mark.parametrize(
    ("only", "without", "sort", "given", "kept"),
    [
        (None, (), True, b"b=2&a=1&b=1", b"a=1&b=2&b=1"),
        (("id",), (), False, b"x=1&id=7&id=8&y", b"id=7&id=8"),
        (("id",), (), False, b"%69d=7&ID=8", b"%69d=7"),
        ((), (), False, b"a=1", b""),
        (("p*",), ("page",), False, b"p=1&page=2&pq=3&q=4", b"p=1&pq=3"),
        (None, ("utm_*",), False, b"utm_source=x&a=1&utm_=2&utm=3", b"a=1&utm=3"),
        (None, ("a b",), False, b"a+b=1&a%20b=2&ab=3", b"ab=3"),
        (None, ("a",), False, b"&&a=1&&b=2&", b"b=2"),
    ],
)
def test_parameters_are_chosen_by_name_and_stay_as_they_were_sent(
    only: tuple[str, ...] | None, without: tuple[str, ...], sort: bool, given: bytes, kept: bytes
) -> None:
    assert query(compose(query=Query(only, without, sort=sort)), given) == kept


def test_what_tells_where_a_visitor_came_from_can_be_dropped() -> None:
    recipe = compose(query=Query(None, TRACKING, sort=False))
    assert query(recipe, b"utm_source=x&id=1&gclid=2&fbclid=3&mtm_kwd=4&hsa_cam=5") == b"id=1"
    assert keyed(recipe, b"/?fbclid=3") == keyed(recipe, b"/")


@pytest.mark.parametrize("cloaked", [b"utm_x=1;id=2", b"utm_x=1%26id=2", b"utm_x=1%3Bid=2", b"utm_x?id=2"])
def test_a_parameter_hidden_in_another_reaches_no_origin_that_the_key_does_not_know_of(cloaked: bytes) -> None:
    """Parameter cloaking: an origin that splits at ``;`` must not see what was dropped from the key."""
    x = exchange(b"/?id=1&" + cloaked)
    asked = key.target_of(compose(query=Query(None, ("utm_*",), sort=False)).of(x))
    assert asked == b"/?id=1"


def test_what_is_too_much_to_take_apart_is_a_key_of_its_own() -> None:
    recipe = compose(query=Query(("id",), (), sort=True), cookies=(b"lang",))
    many = b"&".join(b"p%d=1" % number for number in range(300))
    assert query(recipe, many) == many
    flood = b"a=1; " * 5000
    keys = {keyed(recipe, cookie=flood + value) for value in (b"lang=de", b"lang=en", b"x=1")}
    assert len(keys) == 3
    assert max(map(len, keys)) < 200


# -- other parts --


def test_hosts_of_one_site_share_keys_and_others_do_not() -> None:
    recipe = compose(hosts=(b"www.a.example", b"a.example", b"*.a.test", b"[::1]"))
    assert keyed(recipe, authority=b"a.example") == keyed(recipe, authority=b"www.a.example")
    assert keyed(recipe, authority=b"x.y.a.test") == keyed(recipe, authority=b"www.a.example")
    assert keyed(recipe, authority=b"[::1]") == keyed(recipe, authority=b"www.a.example")
    assert keyed(recipe, authority=b"a.example:81") == keyed(recipe, authority=b"www.a.example:81")
    apart = [
        keyed(recipe, authority=name) for name in (b"a.example", b"a.example:81", b"a.test", b"b.example", b"xa.test")
    ]
    assert len(set(apart)) == len(apart)


def test_schemes_are_one_only_if_the_recipe_says_so() -> None:
    plain, secure = exchange(scheme=b"http"), exchange(scheme=b"https")
    assert compose(scheme=False).of(plain) == compose(scheme=False).of(secure)
    assert compose(device=True).of(plain) != compose(device=True).of(secure)


def test_fields_and_cookies_by_name_tell_resources_apart_and_no_others() -> None:
    recipe = compose(headers=(b"x-tenant",), cookies=(b"lang",))
    keys = {
        keyed(recipe),
        keyed(recipe, x_tenant=b""),
        keyed(recipe, x_tenant=b"a"),
        keyed(recipe, cookie=b"lang="),
        keyed(recipe, cookie=b"lang=de"),
        keyed(recipe, cookie=b"lang=en"),
        keyed(recipe, cookie=b"lang=de; lang=en"),
        keyed(recipe, cookie=b"lang=en; lang=de"),
    }
    assert len(keys) == 8
    assert keyed(recipe, cookie=b"id=1; lang=de; x=2", x_other=b"1") == keyed(recipe, cookie=b"lang=de")
    assert keyed(recipe, cookie=b"xlang=de; langx=de; lang") == keyed(recipe)


def test_a_fields_white_space_and_an_accept_encodings_spelling_make_no_difference() -> None:
    tenant, coding = compose(headers=(b"x-tenant",)), compose(headers=(b"accept-encoding",))
    assert keyed(tenant, x_tenant=b"a , b") == keyed(tenant, x_tenant=b"a,b")
    assert keyed(coding, accept_encoding=b"gzip, br;q=1.0") == keyed(coding, accept_encoding=b"gzip,br")


def test_a_long_value_is_a_digest_in_the_key() -> None:
    recipe = compose(cookies=(b"ab",))
    long, longer = (keyed(recipe, cookie=b"ab=" + b"x" * length) for length in (30_000, 30_001))
    assert long != longer
    assert len(long) == len(longer) < len(keyed(recipe)) + 2 * VALUE_LONGEST
    digest = long.rpartition(b"=")[2]
    assert keyed(recipe, cookie=b"ab=" + digest) != long


text = st.binary(max_size=80).map(lambda value: value.translate(None, b"\r\n\0"))


@given(first=st.tuples(text, text), second=st.tuples(text, text))
def test_different_values_never_share_a_key(first: tuple[bytes, bytes], second: tuple[bytes, bytes]) -> None:
    """Whatever they hold, the marks of keys among it: a part cannot reach into the next."""
    recipe = compose(cookies=(b"a", b"b"))

    def values(pair: tuple[bytes, bytes]) -> list[list[bytes]]:
        pairs = [part.strip(b" \t").partition(b"=") for part in b"a=%b; b=%b".__mod__(pair).split(b";")]
        return [[value for name, equals, value in pairs if equals and name == wanted] for wanted in (b"a", b"b")]

    keys = [keyed(recipe, cookie=b"a=%b; b=%b" % pair) for pair in (first, second)]
    assert (keys[0] == keys[1]) is (values(first) == values(second))
    assert all(one.isascii() and one.decode().isprintable() for one in keys)


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (CHROME[b"user-agent"], b"desktop"),
        (b"", b"desktop"),
        (b"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36", b"phone"),
        (b"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36", b"tablet"),
        (b"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", b"phone"),
        (b"Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", b"tablet"),
        (b"Mozilla/5.0 (Android 15; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0", b"tablet"),
        (b"Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", b"phone"),
        (b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15", b"desktop"),
        (b"automobile-crawler/1.0", b"desktop"),
    ],
)
def test_a_device_is_what_its_agent_says(agent: bytes, expected: bytes) -> None:
    assert device(agent) == expected
    assert keyed(compose(device=True), user_agent=agent).endswith(b";" + expected)


def test_countries_are_apart_and_so_is_none() -> None:
    recipe = compose(device=True, country=True)
    keys = set()
    for place in (Place("DE"), Place("AT", "9", "Vienna"), Place("AT"), NOWHERE):
        x = exchange()
        x.place = place
        keys.add(recipe.of(x).rpartition(b";")[2])
    assert keys == {b"in=DE", b"in=AT", b"in="}
    assert recipe.text == "scheme, host, path, query, device, country"


# -- recipes among each other, and purges --


def test_different_recipes_never_share_a_key() -> None:
    """A configuration that changes must not find what another recipe has kept."""
    recipes = [
        PLAIN,
        compose(scheme=False),
        compose(hosts=(b"a.example",)),
        compose(hosts=(b"a.example", b"b.example")),
        compose(query=Query(None, ("a", "without", "b"), sort=False)),
        compose(query=Query(("a", "without", "b"), (), sort=False)),
        compose(query=Query(("a",), ("b",), sort=False)),
        compose(query=Query(None, (), sort=True)),
        compose(headers=(b"x",)),
        compose(cookies=(b"x",)),
        compose(device=True),
        compose(country=True),
    ]
    x = exchange(b"/", authority=b"a.example", scheme=b"https")
    assert len({recipe.of(x) for recipe in recipes}) == len(recipes)
    assert compose(headers=(b"x",)).of(x) == compose(headers=(b"x",)).of(x)


def test_it_says_what_it_takes() -> None:
    recipe = compose(hosts=(b"a.example", b"b.example"), query=Query(None, ("utm_*",), sort=True), cookies=(b"lang",))
    assert recipe.text == "scheme, host, taken as a.example, path, query without utm_* (sorted), cookie lang"
    assert compose(query=Query((), (), sort=False), scheme=False).text == "host, path"


def test_a_purge_looks_for_a_url_as_every_recipe_writes_it() -> None:
    known = Recipes()
    for recipe in (PLAIN, compose(hosts=(b"www.a.example", b"a.example"), query=Query(("id",), (), sort=False))):
        known.know(recipe)
    known.know(compose(scheme=False))
    assert known.spellings("url", b"http://a.example/x?y=1&id=2") == [
        b"http://a.example/x?y=1&id=2",
        b"http://www.a.example/x?id=2",
        b"https://a.example/x?y=1&id=2",
    ]
    assert known.spellings("prefix", b"http://a.example/x?y")[:2] == [
        b"http://a.example/x?y",
        b"http://www.a.example/x?y",
    ]
    assert known.spellings("host", b"a.example") == [b"a.example", b"www.a.example"]
    assert known.spellings("tag", b"news") == [b"news"]


def test_recipes_known_are_bounded_and_the_latest_stay() -> None:
    known = Recipes()
    for number in range(RECIPE_LIMIT + 5):
        known.know(compose(hosts=(b"h%d.example" % number, b"a.example")))
    assert len(known.spellings("host", b"a.example")) == RECIPE_LIMIT + 1
    assert b"h%d.example" % (RECIPE_LIMIT + 4) in known.spellings("host", b"a.example")


def test_parts_of_a_request_that_no_url_holds_are_left_alone() -> None:
    """``OPTIONS *`` has no path; whatever asks for its key gets one."""
    x = exchange(b"*", method=b"OPTIONS")
    assert compose(device=True).of(x).startswith(b"http://www.example.com*#")
    x.route = route()
    assert PLAIN.of(x) == b"http://www.example.com*"


@pytest.mark.parametrize("recipe", [PLAIN, compose(device=True)])
def test_a_facet_stands_behind_the_url_and_the_partition(recipe: Recipe) -> None:
    x = exchange(b"/a", authority=b"a.example")
    plain = recipe.of(x)
    x.facet = b"f=avif,w=80"
    faceted = recipe.of(x)
    assert faceted == (plain if b"#" in plain else plain + b"#") + b"&f=avif,w=80"
    assert key.url_of(faceted) == key.url_of(plain)
    x.route = BETA
    assert recipe.of(x) not in {plain, faceted}
