"""What an origin's answer is good for: parts, what a 304 says, fields for one reader alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from edgeproxy.cache.parts import LARGEST
from edgeproxy.http.body import Pipe
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request, Response
from edgeproxy.http.ranges import Unsatisfiable, parse_range
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware
from middleware.cache import Cache
from tests.support.caching import Edge
from tests.support.stages import Client, route, services, stage

BODY = bytes(range(48, 58)) * 10
FRESH = {b"cache-control": b"max-age=60", b"etag": b'"1"', b"content-type": b"text/plain"}

Serve = Callable[[Request], Response]


def ranged(etag: bytes = b'"1"', body: bytes = BODY, streamed: bool = False) -> Serve:
    """An origin that honours Range and If-Range."""

    def serve(request: Request) -> Response:
        fields: Headers = FRESH | {b"etag": etag}
        status, sent = 200, body
        asked = request.headers.get(b"range")
        if asked is not None and request.headers.get(b"if-range", etag) == etag:
            wanted = parse_range(asked, len(body))
            if isinstance(wanted, Unsatisfiable):
                return Response(416, {b"content-range": b"bytes */%d" % len(body)}, b"")
            assert wanted is not None
            first, last = wanted[0]
            status, sent = 206, body[first : last + 1]
            fields[b"content-range"] = b"bytes %d-%d/%d" % (first, last, len(body))
        if not streamed:
            return Response(status, fields, sent)
        pipe = Pipe(len(sent))
        for at in range(0, len(sent), 7):
            pipe.feed(sent[at : at + 7])
        pipe.finish()
        return Response(status, fields, pipe)

    return serve


def edge_of(serve: Serve) -> Edge:
    edge = Edge()

    async def answer(request: Request) -> Response:
        return serve(request)

    edge.answer = answer
    return edge


async def part(edge: Edge, asked: bytes, **fields: bytes) -> Client:
    return await edge.get(range=b"bytes=" + asked, **fields)


def asked_for(edge: Edge) -> list[bytes | None]:
    return [request.headers.get(b"range") for request in edge.asked]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_part_is_fetched_as_a_part_and_kept(streamed: bool) -> None:
    edge = edge_of(ranged(streamed=streamed))
    first = await part(edge, b"10-29")
    assert (first.status, first.body, first.field(b"content-range")) == (206, BODY[10:30], b"bytes 10-29/100")
    assert first.field(b"cache-status") == b"edgeproxy; fwd=uri-miss; fwd-status=206; stored"
    again = await part(edge, b"15-20")
    assert (again.status, again.body, again.field(b"content-range")) == (206, BODY[15:21], b"bytes 15-20/100")
    assert again.field(b"cache-status") == b"edgeproxy; hit"
    assert asked_for(edge) == [b"bytes=10-29"]


async def test_parts_of_one_representation_grow_together_until_they_are_the_whole() -> None:
    edge = edge_of(ranged())
    await part(edge, b"0-39")
    beside = await part(edge, b"60-99")
    assert beside.field(b"cache-status") == b"edgeproxy; fwd=partial; fwd-status=206; stored"
    assert (await part(edge, b"30-69")).body == BODY[30:70]
    whole = await edge.get()
    assert (whole.status, whole.body, whole.field(b"cache-status")) == (200, BODY, b"edgeproxy; hit")
    assert whole.field(b"content-range") is None
    several = await part(edge, b"0-1,98-99")
    assert several.status == 206
    assert several.field(
        b"content-type",
    ).startswith(b"multipart/byteranges")  # type: ignore[union-attr]
    assert len(edge.asked) == 3


async def test_what_is_here_from_the_beginning_on_is_completed() -> None:
    edge = edge_of(ranged(streamed=True))
    await part(edge, b"0-39")
    whole = await edge.get()
    assert (whole.status, whole.body) == (200, BODY)
    assert (edge.asked[1].headers[b"range"], edge.asked[1].headers[b"if-range"]) == (b"bytes=40-", b'"1"')
    assert (await edge.get()).field(b"cache-status") == b"edgeproxy; hit"


async def test_a_rest_of_another_representation_is_disregarded_though_if_range_was_asked() -> None:
    edge = edge_of(ranged())
    await part(edge, b"0-39")

    async def careless(request: Request) -> Response:
        plain = Request(b"GET", b"/", {name: value for name, value in request.headers.items() if name != b"if-range"})
        return ranged(b'"2"', BODY[::-1])(plain)

    edge.answer = careless
    assert (await edge.get()).body == BODY[::-1]


async def test_parts_that_come_while_the_rest_is_fetched_are_not_put_in_twice() -> None:
    edge, gate = edge_of(ranged()), asyncio.Event()
    await part(edge, b"0-39")
    plain = edge.answer

    async def slow(request: Request) -> Response:
        if request.headers[b"range"] == b"bytes=40-":
            await gate.wait()
        return await plain(request)

    edge.answer = slow
    whole = edge.start()
    await asyncio.sleep(0.01)
    await part(edge, b"40-69")
    gate.set()
    assert (await whole.done()).body == BODY


async def test_what_is_completed_is_counted_whole() -> None:
    plain, completed = edge_of(ranged(streamed=True)), edge_of(ranged(streamed=True))
    await plain.get()
    await part(completed, b"0-39")
    await completed.get()
    assert completed.tiers.memory.size == plain.tiers.memory.size


async def test_a_representation_that_changed_meanwhile_is_never_mixed_in() -> None:
    edge = edge_of(ranged())
    await part(edge, b"0-39")
    edge.answer = edge_of(ranged(b'"2"', BODY[::-1])).answer
    assert (await edge.get()).body == BODY[::-1]
    assert (await part(edge, b"0-9")).body == BODY[::-1][:10]


async def test_a_part_of_another_representation_takes_the_place_of_those_here() -> None:
    edge = edge_of(ranged())
    await part(edge, b"0-39")
    edge.answer = edge_of(ranged(b'"2"', BODY[::-1])).answer
    await part(edge, b"40-99")
    assert (await part(edge, b"0-39")).body == BODY[::-1][:40]


@pytest.mark.parametrize("etag", [b'W/"1"', b""])
async def test_without_a_strong_validator_nothing_is_combined(etag: bytes) -> None:
    """RFC 9111 §3.4."""
    edge = edge_of(ranged(etag))
    await part(edge, b"0-39")
    assert (await part(edge, b"5-9")).field(b"cache-status") == b"edgeproxy; hit"
    await part(edge, b"40-99")
    assert (await part(edge, b"0-39")).field(b"cache-status") == b"edgeproxy; fwd=partial; fwd-status=206; stored"
    assert (await edge.get()).body == BODY
    assert asked_for(edge) == [b"bytes=0-39", b"bytes=40-99", b"bytes=0-39", b"bytes=40-", None]


async def test_a_range_of_everything_is_kept_as_the_whole() -> None:
    edge = edge_of(ranged(streamed=True))
    first = await part(edge, b"0-")
    assert (first.status, first.body, first.field(b"content-range")) == (206, BODY, b"bytes 0-99/100")
    assert (await edge.get()).field(b"cache-status") == b"edgeproxy; hit"


async def test_an_origin_that_ignores_range_fills_the_cache_with_the_whole() -> None:
    edge = Edge()
    edge.answers(body=BODY, cache_control=b"max-age=60")
    first = await part(edge, b"10-19")
    assert (first.status, first.body) == (206, BODY[10:20])
    assert (await edge.get()).field(b"cache-status") == b"edgeproxy; hit"


@pytest.mark.parametrize(
    ("content_range", "length"),
    [(b"bytes 4-9/10", 5), (b"bytes 0-4/*", 5), (b"bytes 5-4/10", 5), (b"lines 0-4/10", 5), (b"", 5)],
)
async def test_a_part_that_is_not_what_it_says_is_passed_on_and_not_kept(content_range: bytes, length: int) -> None:
    edge = Edge()
    edge.answers(206, BODY[:length], cache_control=b"max-age=60", content_range=content_range, etag=b'"1"')
    assert (await part(edge, b"-5")).body == BODY[:length]
    assert (await part(edge, b"-5")).field(b"cache-status") == b"edgeproxy; fwd=uri-miss; fwd-status=206"
    assert len(edge.asked) == 2


async def test_a_large_part_is_passed_on_and_not_kept() -> None:
    edge = edge_of(ranged(body=b"x" * (LARGEST + 2)))
    assert len((await part(edge, b"1-")).body) == LARGEST + 1
    assert len(edge.tiers.memory) == 0


@pytest.mark.parametrize("status", [404, 412, 416, 301])
async def test_what_else_a_range_brings_is_never_given_to_others(status: int) -> None:
    edge = Edge()
    edge.answers(status, b"no such part", cache_control=b"public, max-age=600")
    assert (await part(edge, b"200-")).status == status
    edge.answers(cache_control=b"max-age=60")
    assert (await edge.get()).field(b"cache-status") == b"edgeproxy; fwd=uri-miss; fwd-status=200; stored"


async def test_a_rest_that_is_gone_makes_the_origin_be_asked_for_the_whole() -> None:
    edge = edge_of(ranged(b'W/"1"'))
    await part(edge, b"0-39")
    edge.answer = edge_of(ranged(b'W/"2"', b"short")).answer
    whole = await edge.get()
    assert (whole.status, whole.body) == (200, b"short")


async def test_a_part_nobody_asked_for_is_not_kept() -> None:
    edge = Edge()
    edge.answers(206, b"01", cache_control=b"max-age=60", content_range=b"bytes 0-1/10")
    assert (await edge.get()).status == 206
    assert len(edge.tiers.memory) == 0


async def test_parts_of_a_whole_that_is_too_large_are_kept_all_the_same() -> None:
    edge = Edge(largest=50)
    edge.answer = edge_of(ranged()).answer
    await edge.get()
    await part(edge, b"0-9")
    assert (await part(edge, b"2-3")).field(b"cache-status") == b"edgeproxy; hit"


async def test_parts_that_may_not_be_shared_are_not_waited_for_a_second_time() -> None:
    edge = Edge()
    edge.answers(206, b"01", cache_control=b"no-store", content_range=b"bytes 0-1/10")
    await part(edge, b"0-1")
    assert (await part(edge, b"0-1")).field(b"cache-status") == b"edgeproxy; fwd=uri-miss"


async def test_a_part_that_may_not_be_stored_is_not_kept() -> None:
    edge = Edge()
    edge.answers(206, b"01", cache_control=b"private", content_range=b"bytes 0-1/10")
    assert (await part(edge, b"0-1")).body == b"01"
    assert len(edge.tiers.memory) == 0


async def test_a_stale_part_is_refreshed_as_a_part_behind_the_answer() -> None:
    edge = Edge()
    edge.answers(206, b"01", cache_control=b"max-age=1, stale-while-revalidate=60", content_range=b"bytes 0-1/10")
    await part(edge, b"0-1")
    edge.clock.advance(2)
    assert (await part(edge, b"0-0")).body == b"0"
    await asyncio.sleep(0.01)
    assert asked_for(edge) == [b"bytes=0-1", b"bytes=0-0"]


async def test_if_range_is_the_origins_to_hold_where_nothing_is_stored() -> None:
    edge = edge_of(ranged())
    assert (await part(edge, b"0-9", if_range=b'"other"')).body == BODY
    assert edge.asked[0].headers[b"if-range"] == b'"other"'
    assert (await part(edge, b"0-9", if_range=b'"1"')).status == 206
    assert (await part(edge, b"0-9", if_range=b'"other"')).status == 200
    assert len(edge.asked) == 1


async def test_a_part_that_came_by_if_range_lacks_fields_and_begins_nothing() -> None:
    """RFC 9110 §15.3.7: such an answer may leave out what describes the whole."""
    edge = edge_of(ranged())
    await part(edge, b"0-9", if_range=b'"1"')
    assert len(edge.tiers.memory) == 0
    await part(edge, b"0-9")
    await part(edge, b"10-19", if_range=b'"1"')
    assert (await part(edge, b"0-19")).field(b"cache-status") == b"edgeproxy; hit"


async def test_concurrent_requests_for_one_part_are_one_and_for_others_are_not() -> None:
    edge, gate = edge_of(ranged()), asyncio.Event()
    plain = edge.answer

    async def slow(request: Request) -> Response:
        await gate.wait()
        return await plain(request)

    edge.answer = slow
    clients = [edge.start(range=b"bytes=%d-%d" % span) for span in ((0, 9), (0, 9), (10, 19), (0, 9))]
    await asyncio.sleep(0.01)
    gate.set()
    bodies = [(await client.done()).body for client in clients]
    assert bodies == [BODY[:10], BODY[:10], BODY[10:20], BODY[:10]]
    assert asked_for(edge) == [b"bytes=0-9", b"bytes=10-19"]


async def test_parts_grow_old_like_anything() -> None:
    edge = edge_of(ranged())
    await part(edge, b"0-39")
    edge.clock.advance(61)
    again = await part(edge, b"0-9")
    assert again.field(b"cache-status") == b"edgeproxy; fwd=stale; fwd-status=206; stored"
    assert (await part(edge, b"0-39")).field(b"cache-status") == b"edgeproxy; hit"


async def test_memory_counts_parts() -> None:
    edge = edge_of(ranged())
    await part(edge, b"0-39")
    before = edge.tiers.memory.size
    await part(edge, b"40-59")
    assert edge.tiers.memory.size == before + 20


# What a 304 says.


async def stale(edge: Edge, **fields: bytes) -> None:
    """Store an answer, and let it grow stale."""
    edge.answers(**({"cache_control": b"max-age=60", "etag": b'"1"'} | fields))
    await edge.get()
    edge.clock.advance(61)


async def test_a_304_about_something_else_is_disregarded_and_the_origin_asked_anew() -> None:
    """RFC 9111 §4.3.4: it must not be used to update what it does not identify."""
    edge = Edge()
    await stale(edge)

    async def confused(request: Request) -> Response:
        if b"if-none-match" in request.headers:
            return Response(304, {b"etag": b'"2"'}, b"")
        return Response(200, {b"etag": b'"3"', b"cache-control": b"max-age=60"}, b"new")

    edge.answer = confused
    answer = await edge.get()
    assert (answer.status, answer.body, answer.field(b"etag")) == (200, b"new", b'"3"')
    assert len(edge.asked) == 3


async def test_a_304_that_takes_the_leave_to_store_away_answers_one_and_empties_the_cache() -> None:
    edge = Edge()
    await stale(edge)
    edge.answers(304, b"", etag=b'"1"', cache_control=b"private", x_user=b"a")
    answer = await edge.get()
    assert (answer.status, answer.body, answer.field(b"x-user")) == (200, b"body", b"a")
    assert len(edge.tiers.memory) == 0


async def test_a_304_to_one_who_says_who_he_is_changes_nothing_for_the_others() -> None:
    """RFC 9111 §3.5."""
    edge = Edge()
    await stale(edge)
    edge.answers(304, b"", etag=b'"1"', x_user=b"a")
    answer = await edge.get(authorization=b"Basic x")
    assert (answer.body, answer.field(b"x-user")) == (b"body", b"a")
    edge.answers(304, b"", etag=b'"1"')
    assert (await edge.get()).field(b"x-user") is None


@pytest.mark.parametrize("cookie", [b"id=3f2a91bc", b"lang=en"])
async def test_a_cookie_in_a_304_is_for_the_one_who_asked(cookie: bytes) -> None:
    edge = Edge()
    await stale(edge)
    edge.answers(304, b"", etag=b'"1"', cache_control=b"max-age=60", set_cookie=cookie)
    assert (await edge.get()).field(b"set-cookie") == cookie
    edge.answers(304, b"", etag=b'"1"', cache_control=b"max-age=60")
    assert (await edge.get()).field(b"set-cookie") is None


@pytest.mark.parametrize(
    ("stored", "told", "expected"),
    [
        (b"text/plain", b"text/plain; charset=utf-8", b"text/plain; charset=utf-8"),
        (b"image/webp", b"image/jpeg", b"image/webp"),  # it was made of what the origin has
    ],
)
async def test_a_304_changes_a_media_types_parameters_only(stored: bytes, told: bytes, expected: bytes) -> None:
    edge = Edge()
    await stale(edge, content_type=stored)
    edge.answers(304, b"", etag=b'"1"', cache_control=b"max-age=60", content_type=told)
    assert (await edge.get()).field(b"content-type") == expected
    assert (await edge.get()).field(b"content-type") == expected


# Fields that are not stored.


@pytest.mark.parametrize("control", [b'private="x-user", max-age=60', b'no-cache="X-User", max-age=60'])
async def test_fields_an_answer_is_limited_to_reach_the_one_who_asked(control: bytes) -> None:
    edge = Edge()
    edge.answers(cache_control=control, x_user=b"a", x_all=b"b")
    first, second = await edge.get(), await edge.get()
    assert (first.field(b"x-user"), first.field(b"x-all")) == (b"a", b"b")
    assert (second.field(b"x-user"), second.field(b"x-all")) == (None, b"b")
    assert second.field(b"cache-status") == b"edgeproxy; hit"


async def test_those_who_waited_do_not_get_them() -> None:
    edge, gate = Edge(), asyncio.Event()

    async def slow(request: Request) -> Response:
        await gate.wait()
        return Response(200, {b"cache-control": b'private="set-cookie", max-age=60', b"set-cookie": b"id=0123456789"})

    edge.answer = slow
    clients = [edge.start() for _ in range(3)]
    await asyncio.sleep(0.01)
    gate.set()
    cookies = [(await client.done()).field(b"set-cookie") for client in clients]
    assert cookies == [b"id=0123456789", None, None]


# Cookies.


async def test_an_answer_that_sets_a_harmless_cookie_is_for_those_who_bring_none() -> None:
    edge = Edge()
    edge.answers(cache_control=b"max-age=60", set_cookie=b"lang=en")
    await edge.get()
    second = await edge.get()
    assert (second.field(b"set-cookie"), second.field(b"cache-status")) == (b"lang=en", b"edgeproxy; hit")
    assert (await edge.get(cookie=b"lang=de")).field(b"cache-status") == b"edgeproxy; fwd=vary-miss; fwd-status=200"


async def test_an_answer_that_could_set_a_session_is_nobody_elses() -> None:
    edge = Edge()
    edge.answers(cache_control=b"public, max-age=60, s-maxage=60", set_cookie=b"id=3f2a91bc")
    await edge.get()
    assert (await edge.get()).field(b"cache-status") == b"edgeproxy; fwd=uri-miss"
    assert len(edge.tiers.memory) == 0


# Targeted fields.


async def test_a_targeted_field_decides_and_goes_on_to_the_client() -> None:
    edge = Edge()
    edge.answers(cache_control=b"no-store", cdn_cache_control=b"max-age=60", expires=b"0")
    first, second = await edge.get(), await edge.get()
    assert second.field(b"cache-status") == b"edgeproxy; hit"
    for client in (first, second):
        assert client.field(b"cdn-cache-control") == b"max-age=60"
        assert (client.field(b"cache-control"), client.field(b"expires")) == (b"no-store", b"0")
    edge.answers(cache_control=b"max-age=60", cdn_cache_control=b"no-store")
    await edge.get(b"/other")
    assert (await edge.get(b"/other")).field(b"cache-status") == b"edgeproxy; fwd=uri-miss"


async def test_fields_that_the_facet_has_settled_keep_no_answers_apart() -> None:
    edge = Edge()
    edge.answers(vary=b"accept, x-lang", cache_control=b"max-age=60")

    class Negotiates(Middleware):
        name = "negotiates"

        def request(self, x: Exchange) -> None:
            x.facet, x.settled = b"f=avif", frozenset((b"accept",))

    lent = services(edge.clock)
    edge.route = route([stage(Negotiates, {}, lent), stage(Cache, {}, lent)], edge)
    for accept in (b"image/avif", b"image/avif,*/*", b"text/html"):
        answer = await edge.get(accept=accept, x_lang=b"en")
        assert answer.field(b"vary") == b"accept, x-lang"
    assert len(edge.asked) == 1
    await edge.get(accept=b"image/avif", x_lang=b"fr")
    assert len(edge.asked) == 2


async def test_what_is_not_to_be_kept_is_not() -> None:
    edge = Edge()

    class Declines(Middleware):
        name = "declines"

        def fetch(self, x: Exchange) -> None:
            x.keep = False

    lent = services(edge.clock)
    edge.route = route([stage(Declines, {}, lent), stage(Cache, {}, lent)], edge)
    await edge.get()
    await edge.get()
    assert len(edge.asked) == 2
