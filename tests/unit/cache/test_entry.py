"""What a stored answer keeps of the origin's fields, how old it is, what it weighs."""

from __future__ import annotations

from collections.abc import Callable

from edgeproxy.cache.entry import OVERHEAD, Entry
from edgeproxy.cache.policy import Terms

Make = Callable[..., Entry]
NOW = 1_800_000_000.0


def test_fields_of_one_transfer_are_not_stored(entry: Make) -> None:
    sent = {
        b"content-type": b"text/plain",
        b"age": b"9",
        b"content-length": b"10",
        b"proxy-authorization": b"x",
        b"proxy-authentication-info": b"x",
        b"cache-status": b"shield; hit",
    }
    stored = entry(sent)
    assert stored.fields.fields == {b"content-type": b"text/plain"}
    assert stored.fields.wire == b"content-type: text/plain\r\n"
    assert len(sent) == 6, "the given fields are the caller's"


def test_a_304_carries_what_a_cache_needs_and_nothing_of_the_body(entry: Make) -> None:
    names = b"cache-control content-location date etag expires last-modified vary".split()
    kept = dict.fromkeys(names, b"1")
    assert entry(kept | {b"content-type": b"text/plain", b"x": b"1"}).not_modified.fields == kept


def test_cache_status_begins_with_what_caches_before_this_one_said(entry: Make) -> None:
    assert entry().said == b"edgeproxy; "
    assert entry({b"cache-status": b"shield; hit"}).said == b"shield; hit, edgeproxy; "


def test_the_names_it_is_purged_by_go_with_its_fields_also_when_those_are_renewed(entry: Make) -> None:
    stored = entry({b"etag": b'"1"'}, tags=(b"a",))
    assert stored.fields.tags == (b"a",)
    stored.tags = (b"b",)
    stored.renew({b"etag": b'"1"'}, stored.terms, NOW)
    stored.expire(NOW + 1)
    assert stored.fields.tags == (b"b",)


def test_age_counts_from_when_the_origin_made_it(entry: Make) -> None:
    stored = entry(initial_age=10.0)
    assert [stored.age(NOW + after) for after in (-20, 0, 5)] == [0, 10, 15]
    assert stored.fresh_until == NOW + 50


def test_what_must_be_validated_is_never_fresh(entry: Make) -> None:
    assert entry(validate=True).fresh_until == 0


def test_renewing_takes_new_fields_and_a_new_age(entry: Make) -> None:
    stored = entry({b"etag": b'"1"', b"x-old": b"1"})
    stored.renew({b"etag": b'"2"', b"last-modified": b"then"}, Terms(5, 0, False, False, 0, 0), NOW + 100)
    assert (stored.etag, stored.last_modified) == (b'"2"', b"then")
    assert b"x-old" not in stored.fields.fields
    assert stored.not_modified.fields == {b"etag": b'"2"', b"last-modified": b"then"}
    assert (stored.age(NOW + 101), stored.fresh_until) == (1, NOW + 105)


def test_it_weighs_its_body_its_fields_and_itself(entry: Make) -> None:
    small = entry({b"x": b"1"}, body=b"")
    assert small.size > OVERHEAD
    assert entry({b"x": b"1"}, body=b"x" * 5000).size == small.size + 5000
    assert entry({b"x": b"1" * 301}, body=b"").size >= small.size + 300


def test_an_ended_answer_is_stale_by_every_field_and_keeps_the_rest(entry: Make) -> None:
    told = {b"cache-control": b"max-age=60, stale-while-revalidate=30", b"etag": b'"1"', b"content-type": b"a/b"}
    stored = entry(told, while_revalidate=30.0, initial_age=3.0)
    size = len(stored.fields.wire)
    assert stored.expire(NOW + 7) == 2 * (len(stored.fields.wire) - size)
    assert stored.fresh_until == NOW + 7
    assert stored.terms == Terms(10.0, 3.0, False, False, 30.0, 0.0)
    ended = b"max-age=10, stale-while-revalidate=30"
    assert stored.fields.fields == told | {b"cache-control": ended}
    assert stored.not_modified.fields == {b"cache-control": ended, b"etag": b'"1"'}
    assert stored.told == told
    assert stored.expire(NOW + 20) == 0  # it has ended already
    assert stored.fields.fields[b"cache-control"] == ended


def test_an_ended_answer_that_is_renewed_has_the_lifetime_it_is_told(entry: Make) -> None:
    told = {b"cache-control": b"max-age=60"}
    stored = entry(told)
    stored.expire(NOW + 7)
    stored.renew(stored.told, stored.terms._replace(lifetime=60.0), NOW + 8)
    assert (stored.fields.fields, stored.fresh_until) == (told, NOW + 68)


def test_what_is_stale_or_must_be_validated_is_left_as_it_is(entry: Make) -> None:
    for stored in (entry(lifetime=5.0), entry(validate=True)):
        before = stored.fields
        assert stored.expire(NOW + 6) == 0
        assert stored.fields is before
