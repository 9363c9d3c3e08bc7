"""L1: variants, purge, the byte limit, and an eviction that a scan cannot fool."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache.entry import OVERHEAD, Entry
from edgeproxy.cache.fill import Fill
from edgeproxy.cache.memory import Memory
from edgeproxy.cache.policy import Terms
from edgeproxy.cache.purge import named
from edgeproxy.cache.vary import VARIANT_LIMIT, names, selector
from edgeproxy.observe.metrics import Metrics

TERMS = Terms(60, 0, validate=False, strict=False, while_revalidate=0, if_error=0)


def entry(
    key: bytes, body: bytes = b"x", vary: tuple[bytes, ...] = (), variant: bytes = b"", tags: tuple[bytes, ...] = ()
) -> Entry:
    return Entry(key, vary, variant, 200, {b"etag": b'"1"'}, TERMS, 0.0, body=body, tags=tags)


def keys(tier: Memory, kind: str, value: str) -> list[bytes]:
    """The keys of what a purge is about."""
    return sorted(found.key for found in tier.matching(named(kind, value, 0.0)))


def memory(limit: int = 10**6) -> Memory:
    return Memory(limit, Metrics())


def test_what_is_evicted_is_counted_with_its_age() -> None:
    metrics = Metrics()
    tier = Memory(3 * OVERHEAD, metrics, lambda: 30.0)
    for key in (b"a", b"b", b"c", b"d"):
        tier.put(entry(key))
    family = next(one for one in metrics.dump() if one["name"] == "edgeproxy_cache_evicted_age_seconds")
    ((labels, cells),) = family["series"]
    assert (labels, sum(cells[:-1]), cells[-1]) == (["l1"], 2, 60.0)


def test_a_stored_answer_is_found_again() -> None:
    tier = memory()
    stored = entry(b"k")
    assert tier.put(stored)
    assert tier.get(b"k", {}) is stored
    assert tier.get(b"other", {}) is None


def test_variants_are_told_apart_by_what_vary_names() -> None:
    tier = memory()
    fields = names(b"Accept-Language")
    for language in (b"de", b"en"):
        tier.put(entry(b"k", language, fields, selector(fields)({b"accept-language": language})))
    found = tier.get(b"k", {b"accept-language": b"de"})
    assert found is not None
    assert found.body == b"de"
    assert tier.get(b"k", {b"accept-language": b"fr"}) is None
    assert tier.get(b"k", {}) is None


def test_an_absent_field_is_not_an_empty_one() -> None:
    select = selector((b"x-a",))
    assert select({}) != select({b"x-a": b""})


def test_white_space_around_commas_does_not_make_a_variant() -> None:
    select = selector((b"accept-language",))
    assert select({b"accept-language": b"de, en"}) == select({b"accept-language": b"de,en"})


def test_accept_encoding_is_normalised() -> None:
    select = selector((b"accept-encoding",))
    assert select({b"accept-encoding": b"gzip, br"}) == select({b"accept-encoding": b"br;q=1.0, gzip"})
    assert select({b"accept-encoding": b"gzip"}) != select({b"accept-encoding": b"br"})


def test_purge_forgets_every_variant() -> None:
    tier = memory()
    for variant in (b"=de", b"=en"):
        tier.put(entry(b"k", vary=(b"accept-language",), variant=variant))
    assert tier.purge(b"k") == 2
    assert tier.size == 0
    assert len(tier) == 0


def test_a_purge_finds_what_it_is_about_and_forgets_what_has_gone() -> None:
    tier, url = memory(), b"http://a/x"
    for key, tags in ((url, (b"t",)), (url + b"#beta", (b"t", b"u")), (b"http://a/xy", ()), (b"https://b/", (b"u",))):
        tier.put(entry(key, tags=tags))
    assert keys(tier, "url", "http://a/x") == [url, url + b"#beta"]
    assert keys(tier, "prefix", "http://a/x") == [url, url + b"#beta", b"http://a/xy"]
    assert keys(tier, "host", "b") == [b"https://b/"]
    assert keys(tier, "tag", "t") == [url, url + b"#beta"]
    assert len(keys(tier, "all", "")) == 4
    tier.purge(url + b"#beta")
    assert keys(tier, "url", "http://a/x") == [url]
    assert keys(tier, "tag", "u") == [b"https://b/"]
    tier.put(entry(url + b"#beta"))
    assert keys(tier, "url", "http://a/x") == [url, url + b"#beta"]
    tier.put(entry(url, tags=(b"v",)))  # in place of what had another tag
    assert keys(tier, "tag", "t") == []
    assert keys(tier, "tag", "v") == [url]


def test_tags_that_a_304_brought_are_found_from_then_on() -> None:
    tier, stored = memory(), entry(b"k", tags=(b"old",))
    tier.put(stored)
    stored.tags = (b"new",)
    tier.grow(stored, 0)
    assert keys(tier, "tag", "old") == []
    assert keys(tier, "tag", "new") == [b"k"]


def test_nothing_is_left_of_what_was_evicted() -> None:
    tier = memory(20_000)
    for number in range(200):
        tier.put(entry(b"http://a/%d#beta" % number, tags=(b"t%d" % number, b"all")))
    assert 0 < len(tier) < 20
    assert len(keys(tier, "tag", "all")) == len(tier)
    for stored in tier.matching(named("all", "", 0.0)):
        tier.drop(stored)
    assert (tier._tagged, tier._indexed, tier._further) == ({}, {}, {})


def test_tags_count_for_the_limit() -> None:
    plain, tagged = entry(b"k"), entry(b"k", tags=tuple(b"%d" % number for number in range(100)))
    assert tagged.size > plain.size + 10_000


def test_a_new_vary_replaces_the_variants_of_the_old_one() -> None:
    tier = memory()
    tier.put(entry(b"k", vary=(b"accept",), variant=b"=a"))
    tier.put(entry(b"k"))
    assert len(tier) == 1


def test_variants_of_one_resource_are_bounded() -> None:
    tier = memory()
    for number in range(VARIANT_LIMIT * 2):
        tier.put(entry(b"k", vary=(b"accept",), variant=b"=%d" % number))
    assert len(tier) == VARIANT_LIMIT


def test_what_is_larger_than_the_tier_is_not_stored() -> None:
    tier = memory(10_000)
    assert not tier.put(entry(b"k", b"x" * 20_000))
    assert tier.size == 0


def test_growth_of_an_entry_counts_and_makes_room() -> None:
    tier = memory(20_000)
    tier.put(entry(b"old", b"x" * 8_000))
    growing = entry(b"new")
    tier.put(growing)
    tier.grow(growing, 10_500)
    assert tier.size <= 20_000
    assert tier.get(b"old", {}) is None
    tier.drop(growing)
    assert tier.size == 0
    tier.grow(growing, 5)
    assert tier.size == 0


def test_a_body_still_arriving_is_passed_over_as_long_as_there_is_another() -> None:
    tier = memory(20_000)
    arriving, other = (Entry(key, (), b"", 200, {}, TERMS, 0.0, fill=Fill(None)) for key in (b"first", b"second"))
    for each in (arriving, entry(b"whole", b"x" * 9_000), other):
        tier.put(each)
    tier.grow(other, 9_000)
    assert (tier.holds(arriving), tier.get(b"whole", {})) == (True, None)
    tier.grow(arriving, 9_000)
    assert [tier.holds(each) for each in (arriving, other)].count(True) == 1
    assert tier.size <= 20_000


def test_a_scan_does_not_displace_what_is_in_use() -> None:
    tier = memory(200 * (OVERHEAD + 1100))
    hot = [b"hot%d" % number for number in range(50)]
    for _ in range(5):
        for key in hot:
            found = tier.get(key, {})
            if found is None:
                tier.put(entry(key, b"x" * 1000))
            else:
                found.hits += 1
    for number in range(5_000):
        tier.put(entry(b"scan%d" % number, b"x" * 1000))
    assert sum(tier.get(key, {}) is not None for key in hot) == 50


def test_hit_ratio_on_a_zipf_load_beats_lru() -> None:
    draw = random.Random(7)
    population = 2_000
    weights = [1 / rank for rank in range(1, population + 1)]
    load = draw.choices(range(population), weights, k=20_000)
    capacity = 100
    tier = memory(capacity * entry(b"0000", b"x" * 1000).size)
    lru: dict[int, None] = {}
    hits = lru_hits = 0
    for key in load:
        found = tier.get(b"%04d" % key, {})
        if found is not None:
            found.hits += 1
            hits += 1
        else:
            tier.put(entry(b"%04d" % key, b"x" * 1000))
        if key in lru:
            lru_hits += 1
            del lru[key]
        lru[key] = None
        if len(lru) > capacity:
            del lru[next(iter(lru))]
    assert hits > lru_hits


@given(st.lists(st.tuples(st.sampled_from("pdgu"), st.integers(0, 12), st.integers(1, 4_000)), max_size=80))
def test_the_books_always_balance(steps: list[tuple[str, int, int]]) -> None:
    tier = memory(15_000)
    for action, number, size in steps:
        key = b"k%d" % number
        found = tier.get(key, {})
        if action == "p":
            tier.put(entry(key, b"x" * size))
        elif action == "d" and found is not None:
            tier.drop(found)
        elif action == "g" and found is not None:
            tier.grow(found, size)
        elif action == "u" and found is not None:
            found.hits += 1
        held = [stored for resource in tier.resources.values() for stored in resource.variants.values()]
        assert tier.size == sum(stored.size for stored in held) <= 15_000
        assert len(tier) == len(held)


def test_what_tells_variants_apart_counts_too() -> None:
    tier = memory()
    tier.put(entry(b"k", vary=(b"cookie",), variant=b"=" + b"c" * 30_000))
    assert tier.size > 30_000


def test_short_of_room_ghosts_last_through_a_scan() -> None:
    """What was evicted is known again as long as as many entries as the tier holds have not been evicted since."""
    tier = memory(4_000 * entry(b"%08d" % 0).size)
    for number in range(4_001):
        tier.put(entry(b"%08d" % number))
    assert tier.get(b"%08d" % 0, {}) is None
    for number in range(4_001, 7_900):
        tier.put(entry(b"%08d" % number))
    back = entry(b"%08d" % 0)
    tier.put(back)
    assert back.main
