"""The fields of answers with a variant, or with the original in its place."""

from __future__ import annotations

from edgeproxy.http.message import FieldBlock, Response
from edgeproxy.images.answer import passed_on, tag, validator, variant_fields
from edgeproxy.pipeline.exchange import NOTHING

KEPT = {
    b"content-type": b"image/jpeg",
    b"content-length": b"4",
    b"etag": b'"v1"',
    b"cache-control": b"max-age=60",
    b"date": b"Sun, 22 Nov 2026 10:00:00 GMT",
    b"last-modified": b"Sat, 21 Nov 2026 10:00:00 GMT",
    b"access-control-allow-origin": b"*",
    b"vary": b"Origin, Accept",
    b"link": b"</a>; rel=preload",
    b"repr-digest": b"sha-256=:x:",
    b"use-as-dictionary": b'match="/*"',
    b"no-vary-search": b"params",
    b"set-cookie": b"a=1",
    b"accept-ranges": b"bytes",
    b"content-disposition": b"inline; filename=a.jpg",
    b"cache-groups": b'"g"',
}


def stored() -> Response:
    block = FieldBlock(KEPT)
    block.tags = (b"p1", b"p2", b"http://a.test g")
    return Response(200, {}, b"body", block, FieldBlock({b"age": b"7", b"cache-status": b"edgeproxy; hit"}))


def test_a_variant_has_the_terms_age_and_tags_of_its_source_and_nothing_of_its_bytes() -> None:
    assert variant_fields(stored(), b'W/"x"', b"image/avif", NOTHING) == {
        b"content-type": b"image/avif",
        b"etag": b'W/"x"',
        b"x-content-type-options": b"nosniff",
        b"cache-control": b"max-age=60",
        b"date": KEPT[b"date"],
        b"last-modified": KEPT[b"last-modified"],
        b"age": b"7",
        b"access-control-allow-origin": b"*",
        b"cache-groups": b'"g"',
        b"surrogate-key": b"p1 p2",
    }


def test_tags_that_the_source_shows_are_not_said_twice() -> None:
    source = stored()
    source.own[b"cache-tag"] = b"p1, p2"
    assert b"surrogate-key" not in variant_fields(source, b'W/"x"', b"image/avif", NOTHING)


def test_a_variant_says_which_fields_it_was_chosen_by() -> None:
    fields = variant_fields(stored(), b'W/"x"', b"image/avif", frozenset((b"save-data", b"accept")))
    assert fields[b"vary"] == b"accept, save-data"


def test_what_varies_by_everything_goes_on_doing_so() -> None:
    assert variant_fields(Response(200, {b"vary": b"accept, *"}), b'W/"x"', b"image/avif", NOTHING)[b"vary"] == b"*"


def test_what_is_passed_on_is_as_it_was_but_for_what_its_look_up_said() -> None:
    passed = passed_on(stored(), "pixels")
    assert (passed.status, passed.body) == (200, b"body")
    assert passed.headers() == KEPT | {
        b"age": b"7",
        b"surrogate-key": b"p1 p2",
        b"edgeproxy-image": b"original; reason=pixels",
    }
    assert passed_on(stored()).get(b"edgeproxy-image") is None


def test_a_tag_is_weak_and_tells_states_facets_and_crafts_apart() -> None:
    tags = {tag(b'"1"', b"w=1", b""), tag(b'"2"', b"w=1", b""), tag(b'"1"', b"w=2", b""), tag(b'"1"', b"w=1", b"x")}
    assert len(tags) == 4
    assert all(one.startswith(b'W/"') for one in tags)
    assert tag(b'"1"', b"w=1", b"") in tags


def test_only_a_well_formed_entity_tag_is_a_validator() -> None:
    assert validator(Response(200, {b"etag": b'W/"1"'})) == b'W/"1"'
    assert validator(Response(200, {b"etag": b"1"})) == b""
    assert validator(Response(200, {})) == b""
