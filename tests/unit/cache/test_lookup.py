"""Misses: collapsing, revalidation, standing in for errors, purges under way."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.cache.purge import named
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.runner import serve
from tests.support.caching import Edge
from tests.support.stages import Client, exchange


async def test_the_second_visit_is_a_hit_without_a_task() -> None:
    edge = Edge()
    first = await edge.get()
    assert first.field(b"cache-status") == b"edgeproxy; fwd=uri-miss; fwd-status=200; stored"
    edge.clock.advance(7)
    second = edge.start()
    assert second.task is None
    assert (second.status, second.body, second.field(b"age")) == (200, b"body", b"7")
    assert second.field(b"cache-status") == b"edgeproxy; hit"
    assert len(edge.asked) == 1


async def test_concurrent_misses_are_one_origin_request() -> None:
    edge = Edge()
    gate = asyncio.Event()

    async def slow(request: Request) -> Response:
        await gate.wait()
        return await edge.plain(request)

    edge.answer = slow
    clients = [edge.start() for _ in range(100)]
    await asyncio.sleep(0)
    gate.set()
    assert {(await client.done()).body for client in clients} == {b"body"}
    assert len(edge.asked) == 1
    assert clients[-1].field(b"cache-status") == b"edgeproxy; fwd=uri-miss; collapsed"


async def test_followers_read_the_body_while_it_arrives() -> None:
    edge = Edge()
    pipe = Pipe()
    edge.answer = lambda request: asyncio.sleep(0, Response(200, {b"cache-control": b"max-age=60"}, pipe))
    clients = [edge.start(), edge.start()]
    for _ in range(8):
        await asyncio.sleep(0)
    pipe.feed(b"first ")
    for _ in range(8):
        await asyncio.sleep(0)
    assert [client.body for client in clients] == [b"first ", b"first "]
    third = edge.start()
    pipe.feed(b"last")
    pipe.finish()
    assert [(await client.done()).body for client in (*clients, third)] == [b"first last"] * 3
    assert third.field(b"cache-status") == b"edgeproxy; hit"


async def test_a_leader_that_leaves_does_not_cancel_the_fill() -> None:
    edge = Edge()
    gate = asyncio.Event()

    async def slow(request: Request) -> Response:
        await gate.wait()
        return await edge.plain(request)

    edge.answer = slow
    leader, follower = edge.start(), edge.start()
    await asyncio.sleep(0)
    assert leader.task is not None
    leader.task.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert (await follower.done()).body == b"body"
    assert len(edge.asked) == 1


async def test_a_fetch_that_dies_promotes_a_follower() -> None:
    edge = Edge()
    gate = asyncio.Event()

    async def dies(request: Request) -> Response:
        await gate.wait()
        edge.answer = edge.plain
        raise RuntimeError("a bug, say")

    edge.answer = dies
    leader, follower = edge.start(), edge.start()
    await asyncio.sleep(0)
    gate.set()
    assert (await leader.done()).status == 500
    assert (await follower.done()).body == b"body"
    assert len(edge.asked) == 2


async def test_an_answer_that_may_not_be_shared_releases_the_others_and_is_remembered() -> None:
    edge = Edge()
    started = asyncio.Event()

    async def private(request: Request) -> Response:
        if len(edge.asked) == 1:
            await started.wait()
        return Response(200, {b"cache-control": b"private"}, b"for %d" % len(edge.asked))

    edge.answer = private
    clients = [edge.start() for _ in range(5)]
    await asyncio.sleep(0)
    started.set()
    bodies = [(await client.done()).body for client in clients]
    assert len(edge.asked) == 5
    assert len(set(bodies)) > 1
    await edge.get(if_none_match=b'"x"')
    assert edge.asked[-1].headers == {b"if-none-match": b'"x"'}  # passed on as it came


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"cache_control": b"no-store"}, {}),
        ({"authorization": b"Basic x"}, {}),
        ({"cookie": b"user=1"}, {b"set-cookie": b"a=b"}),
    ],
)
async def test_an_answer_refused_for_who_asked_does_not_keep_the_others_from_sharing(
    asked: dict[str, bytes], told: dict[bytes, bytes]
) -> None:
    edge = Edge()
    released = asyncio.Event()

    async def slow(request: Request) -> Response:
        if len(edge.asked) > 1:
            await released.wait()
        return Response(200, {b"cache-control": b"max-age=60"} | told, b"body")

    edge.answer = slow
    await edge.get(**asked)
    clients = [edge.start() for _ in range(5)]
    await asyncio.sleep(0)
    released.set()
    assert {(await client.done()).body for client in clients} == {b"body"}
    assert len(edge.asked) == 2


async def test_requests_with_authorization_never_share_a_flight() -> None:
    edge = Edge()
    edge.answer = lambda request: asyncio.sleep(
        0, Response(200, {b"cache-control": b"max-age=60"}, request.headers[b"authorization"])
    )
    clients = [edge.start(authorization=b"Basic %d" % number) for number in range(3)]
    assert [(await client.done()).body for client in clients] == [b"Basic 0", b"Basic 1", b"Basic 2"]
    assert len(edge.tiers.memory) == 0


async def test_concurrent_misses_for_different_variants_are_not_mixed_up() -> None:
    edge = Edge()

    async def varied(request: Request) -> Response:
        await asyncio.sleep(0)
        language = request.headers[b"accept-language"]
        return Response(200, {b"cache-control": b"max-age=60", b"vary": b"accept-language"}, language)

    edge.answer = varied
    clients = [edge.start(accept_language=language) for language in (b"de", b"en", b"de", b"fr")]
    assert [(await client.done()).body for client in clients] == [b"de", b"en", b"de", b"fr"]


async def test_a_stale_answer_is_revalidated_and_freshened() -> None:
    edge = Edge()
    await edge.get()
    edge.clock.advance(100)
    edge.answer = lambda request: asyncio.sleep(0, Response(304, {b"cache-control": b"max-age=30", b"x-new": b"1"}))
    client = await edge.get()
    assert edge.asked[-1].headers[b"if-none-match"] == b'"1"'
    assert (client.status, client.body, client.field(b"x-new")) == (200, b"body", b"1")
    assert client.field(b"cache-status") == b"edgeproxy; fwd=stale; fwd-status=304"
    assert edge.start().field(b"cache-status") == b"edgeproxy; hit"


async def test_what_a_304_adds_counts_for_the_limit() -> None:
    edge = Edge()
    await edge.get()
    before = edge.tiers.memory.size
    edge.clock.advance(100)
    for size, least in ((20_000, 40_000), (10, 20)):
        more = Response(304, {b"cache-control": b"no-cache", b"x-new": b"x" * size})
        edge.answer = lambda request, more=more: asyncio.sleep(0, more)  # type: ignore[misc]
        await edge.get()
        assert least < edge.tiers.memory.size - before < least + 200


async def test_a_304_changes_nothing_that_tells_of_the_stored_body() -> None:
    edge = Edge()
    kept = {b"etag": b'W/"1"', b"vary": b"accept-encoding", b"content-encoding": b"br"}
    fields = {b"cache-control": b"max-age=10"} | kept
    edge.answer = lambda request: asyncio.sleep(0, Response(200, dict(fields), b"compressed"))
    await edge.get(accept_encoding=b"br")
    edge.clock.advance(20)
    edge.answer = lambda request: asyncio.sleep(0, Response(304, {b"etag": b'"1"', b"vary": b"accept", b"x-new": b"1"}))
    client = await edge.get(accept_encoding=b"br")
    assert {name: client.field(name) for name in kept} == kept
    assert client.field(b"x-new") == b"1"
    assert (await edge.get(accept_encoding=b"identity")).field(b"cache-status") != b"edgeproxy; hit"


async def test_if_match_is_the_origins_to_evaluate() -> None:
    edge = Edge()
    await edge.get()
    await edge.get(if_match=b'"7"')
    assert edge.asked[-1].headers == {b"if-match": b'"7"'}


async def test_behind_an_answer_to_head_the_whole_is_refreshed() -> None:
    edge = Edge()

    async def as_asked(request: Request) -> Response:
        fields = {b"cache-control": b"max-age=10, stale-while-revalidate=60"}
        return Response(200, fields, b"body" if request.method == b"GET" else b"")

    edge.answer = as_asked
    await edge.get()
    edge.clock.advance(20)
    assert (await edge.send(b"HEAD")).status == 200
    await asyncio.sleep(0.01)
    assert [request.method for request in edge.asked] == [b"GET", b"GET"]
    assert (await edge.get()).body == b"body"


async def test_stale_while_revalidate_answers_at_once_and_refreshes_behind() -> None:
    edge = Edge()
    edge.answer = lambda request: asyncio.sleep(
        0, Response(200, {b"cache-control": b"max-age=10, stale-while-revalidate=30"}, b"%d" % len(edge.asked))
    )
    await edge.get()
    edge.clock.advance(20)
    client = edge.start()
    assert client.task is None
    assert client.body == b"1"
    for _ in range(5):
        await asyncio.sleep(0)
    assert edge.start().body == b"2"


@pytest.mark.parametrize("reload", [{"cache_control": b"no-cache"}, {"pragma": b"no-cache"}])
async def test_a_reload_does_not_join_a_refresh_begun_before_it_but_reloads_join_each_other(
    reload: dict[str, bytes],
) -> None:
    edge, released = Edge(), asyncio.Event()
    edge.answers(cache_control=b"max-age=10, stale-while-revalidate=60", body=b"0")
    await edge.get()
    edge.clock.advance(11)

    async def answer(request: Request) -> Response:
        number = len(edge.asked) - 1
        await released.wait()
        return Response(200, {b"cache-control": b"max-age=60"}, b"%d" % number)

    edge.answer = answer
    assert (await edge.get()).body == b"0"  # and a refresh is under way
    reloads = [edge.start(**reload) for _ in range(3)]
    await asyncio.sleep(0)
    released.set()
    assert [(await one.done()).body for one in reloads] == [b"2"] * 3
    assert len(edge.asked) == 3


async def test_a_stored_answer_is_served_while_the_origin_is_down_within_its_grace() -> None:
    edge = Edge(grace="1h")
    await edge.get()

    async def down(request: Request) -> Response:
        raise EdgeError(Kind.CONNECT_REFUSED, "origin")

    edge.answer = down
    edge.clock.advance(600)
    client = await edge.get()
    assert (client.status, client.body) == (200, b"body")
    edge.clock.advance(4000)
    assert (await edge.get()).status == 502


async def test_must_revalidate_forbids_standing_in() -> None:
    edge = Edge()
    edge.answer = lambda request: asyncio.sleep(
        0, Response(200, {b"cache-control": b"max-age=1, must-revalidate", b"etag": b'"1"'}, b"x")
    )
    await edge.get()
    edge.clock.advance(5)

    async def down(request: Request) -> Response:
        raise EdgeError(Kind.CONNECT_REFUSED, "origin")

    edge.answer = down
    assert (await edge.get()).status == 502


async def test_the_clients_conditions_are_answered_from_the_stored_copy() -> None:
    edge = Edge()
    first = await edge.get(if_none_match=b'"1"')
    assert first.status == 304
    assert b"if-none-match" not in edge.asked[0].headers
    assert edge.start(if_none_match=b'W/"1"').status == 304
    assert edge.start(if_none_match=b'"2"').body == b"body"
    part = edge.start(range=b"bytes=1-2")
    assert (part.status, part.body, part.field(b"content-range")) == (206, b"od", b"bytes 1-2/4")
    assert edge.start(range=b"bytes=9-").status == 416


async def test_a_purge_forgets_and_a_fetch_begun_before_it_does_not_bring_it_back() -> None:
    edge = Edge()
    await edge.get()
    assert edge.tiers.purge(named("url", "http://A.test/", edge.clock.wall())) == 1
    gate = asyncio.Event()

    async def slow(request: Request) -> Response:
        await gate.wait()
        return await edge.plain(request)

    edge.answer = slow
    client = edge.start()
    await asyncio.sleep(0)
    edge.tiers.purge(named("url", "http://a.test/", edge.clock.wall()))
    gate.set()
    assert (await client.done()).body == b"body"
    assert len(edge.tiers.memory) == 0


@pytest.mark.parametrize("status", [200, 204, 303])
async def test_an_unsafe_request_that_succeeded_invalidates(status: int) -> None:
    edge = Edge()
    await edge.get()
    edge.answer = lambda request: asyncio.sleep(0, Response(status, {}, b""))
    await edge.start(b"POST").done()
    assert len(edge.tiers.memory) == 0


async def test_an_unsafe_request_that_failed_invalidates_nothing() -> None:
    edge = Edge()
    await edge.get()
    edge.answer = lambda request: asyncio.sleep(0, Response(500, {}, b""))
    await edge.start(b"POST").done()
    assert len(edge.tiers.memory) == 1


async def test_a_body_that_broke_off_is_not_kept() -> None:
    edge = Edge()
    pipe = Pipe(10)
    edge.answer = lambda request: asyncio.sleep(0, Response(200, {b"cache-control": b"max-age=60"}, pipe))
    client = edge.start()
    pipe.feed(b"half")
    pipe.fail(EdgeError(Kind.RESPONSE_INCOMPLETE, "origin"))
    await client.done()
    assert client.body == b"half"
    assert len(edge.tiers.memory) == 0


async def test_a_body_that_grew_too_large_passes_whole_and_is_not_kept() -> None:
    edge = Edge(largest=1000)
    pipe = Pipe()
    edge.answer = lambda request: asyncio.sleep(0, Response(200, {b"cache-control": b"max-age=60"}, pipe))
    client = edge.start()
    for _ in range(50):
        pipe.feed(b"x" * 100)
        await asyncio.sleep(0)
    pipe.finish()
    assert len((await client.done()).body) == 5000
    assert len(edge.tiers.memory) == 0


async def test_only_if_cached_never_reaches_the_origin() -> None:
    edge = Edge()
    assert (await edge.get(cache_control=b"only-if-cached")).status == 504
    assert edge.asked == []


async def test_what_a_get_with_a_body_brings_is_its_own() -> None:
    edge = Edge()

    async def echo(request: Request) -> Response:
        said = b"nothing" if request.body is None else await request.body.read()
        return Response(200, {b"cache-control": b"max-age=1, stale-while-revalidate=60"}, said)

    def with_body() -> Client:
        pipe = Pipe(6)
        pipe.feed(b"poison")
        pipe.finish()
        x = exchange(authority=b"a.test")
        x.request.body, x.request.length = pipe, 6
        x.route = edge.route
        client = Client()
        serve(x, client)
        return client

    edge.answer = echo
    assert (await with_body().done()).body == b"poison"
    assert (await edge.get()).body == b"nothing"
    edge.clock.advance(2)
    assert (await with_body().done()).body == b"nothing"  # stale, and refreshed behind
    await asyncio.sleep(0.01)
    assert (await edge.get()).body == b"nothing"


@pytest.mark.parametrize("control", [b"no-cache", b"max-age=0, must-revalidate"])
async def test_an_answer_that_needs_validation_is_not_given_to_those_who_waited(control: bytes) -> None:
    edge = Edge()
    gate = asyncio.Event()

    async def personal(request: Request) -> Response:
        await gate.wait()
        return Response(200, {b"cache-control": control, b"etag": b'"1"'}, request.headers[b"cookie"])

    edge.answer = personal
    clients = [edge.start(cookie=b"user=%d" % number) for number in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert [(await client.done()).body for client in clients] == [b"user=0", b"user=1", b"user=2"]
    assert len(edge.asked) == 3


async def test_who_waited_for_another_variant_is_collapsed_with_its_own() -> None:
    edge = Edge()
    release = asyncio.Event()

    async def localised(request: Request) -> Response:
        await release.wait()
        language = request.headers[b"accept-language"]
        return Response(200, {b"cache-control": b"max-age=60", b"vary": b"accept-language"}, language)

    edge.answer = localised
    languages = [b"en", b"de", b"fi"] * 5
    clients = [edge.start(accept_language=language) for language in languages]
    await asyncio.sleep(0)
    release.set()
    assert [(await client.done()).body for client in clients] == languages
    assert len(edge.asked) == 3


async def test_a_leader_with_a_fault_of_its_own_leaves_the_others_one_request() -> None:
    edge = Edge()
    broken = asyncio.Event()

    async def faulty(request: Request) -> Response:
        if b"x-break" in request.headers:
            await broken.wait()
            raise RuntimeError("a fault")
        return await edge.plain(request)

    edge.answer = faulty
    leader = edge.start(x_break=b"yes")
    await asyncio.sleep(0)
    others = [edge.start() for _ in range(10)]
    await asyncio.sleep(0)
    broken.set()
    assert (await leader.done()).status == 500
    assert [(await other.done()).body for other in others] == [b"body"] * 10
    assert len(edge.asked) == 2


async def test_a_purge_reaches_a_fetch_that_nobody_may_join() -> None:
    edge = Edge()
    gate = asyncio.Event()

    async def slow(request: Request) -> Response:
        await gate.wait()
        return Response(200, {b"cache-control": b"public, max-age=60"}, b"old")

    edge.answer = slow
    client = edge.start(authorization=b"Basic x")
    await asyncio.sleep(0)
    edge.tiers.purge(named("url", "http://a.test/", edge.clock.wall()))
    gate.set()
    assert (await client.done()).body == b"old"
    assert len(edge.tiers.memory) == 0


async def test_interim_answers_reach_the_one_whose_request_it_is_before_its_final_one() -> None:
    edge, gate = Edge(), asyncio.Event()
    edge.hints = [(103, {b"link": b"</a>"})]

    async def slow(request: Request) -> Response:
        await gate.wait()
        return Response(200, {b"cache-control": b"max-age=1, stale-while-revalidate=60"}, b"body")

    edge.answer = slow
    leader, follower = edge.start(), edge.start()
    gate.set()
    assert ((await leader.done()).hints, (await follower.done()).hints) == (edge.hints, [])
    edge.clock.advance(2)
    refreshed = await edge.get()
    await asyncio.sleep(0.01)
    assert len(edge.asked) == 2
    assert refreshed.hints == []


@pytest.mark.parametrize(
    ("control", "shared"),
    [
        (b"max-age=60", False),
        (b"max-age=60, public", True),
        (b"s-maxage=60", True),
        (b"max-age=60, must-revalidate", True),
        (b"max-age=60, proxy-revalidate", False),
        (b"private, public, max-age=60", False),
    ],
)
async def test_an_answer_to_authorization_is_shared_only_by_the_origins_leave(control: bytes, shared: bool) -> None:
    """RFC 9111 §3.5, both ways: for one with other credentials, and for one without any."""
    edge = Edge()
    edge.answers(cache_control=control)
    await edge.get(authorization=b"Basic a")
    for fields in ({"authorization": b"Basic b"}, {}):
        hit = (await edge.get(**fields)).field(b"cache-status") == b"edgeproxy; hit"
        assert hit is shared


async def test_what_everybody_may_have_answers_those_with_authorization_too() -> None:
    edge = Edge()
    edge.answers(cache_control=b"max-age=60")
    await edge.get()
    assert (await edge.get(authorization=b"Basic a")).field(b"cache-status") == b"edgeproxy; hit"


@pytest.mark.parametrize("forbids", [b"", b", must-revalidate", b", proxy-revalidate", b", s-maxage=1", b", no-cache"])
@pytest.mark.parametrize("error", ["answered", "unreachable"])
async def test_stale_if_error_holds_within_its_window_unless_it_is_forbidden(forbids: bytes, error: str) -> None:
    """RFC 5861 §4, RFC 9111 §4.2.4."""
    edge = Edge(grace="0s")
    edge.answers(cache_control=b"max-age=1, stale-if-error=60" + forbids, etag=b'"1"')
    await edge.get()

    async def fails(request: Request) -> Response:
        if error == "answered":
            return Response(503, {}, b"down")
        raise EdgeError(Kind.CONNECT_REFUSED, "origin")

    edge.answer = fails
    edge.clock.advance(30)
    within = await edge.get()
    assert (within.status == 200) is (not forbids)
    edge.clock.advance(40)
    assert (await edge.get()).status >= 500


@pytest.mark.parametrize("forbids", [b"", b", must-revalidate", b", proxy-revalidate", b", s-maxage=1", b", no-cache"])
async def test_stale_while_revalidate_holds_within_its_window_unless_it_is_forbidden(forbids: bytes) -> None:
    """RFC 5861 §3: behind it comes a request that waits, and what it brings."""
    edge = Edge()
    edge.answers(body=b"old", cache_control=b"max-age=1, stale-while-revalidate=10" + forbids, etag=b'"1"')
    await edge.get()
    edge.answers(body=b"new", cache_control=b"no-cache", etag=b'"2"')
    edge.clock.advance(5)
    assert (await edge.get()).body == (b"new" if forbids else b"old")
    await asyncio.sleep(0.01)
    assert (await edge.get()).body == b"new"


async def test_a_window_that_is_over_makes_the_next_one_wait() -> None:
    edge = Edge()
    edge.answers(body=b"old", cache_control=b"max-age=1, stale-while-revalidate=10")
    await edge.get()
    edge.answers(body=b"new", cache_control=b"no-store")
    edge.clock.advance(12)
    assert (await edge.get()).body == b"new"
