"""Which variant a request asks for, in three ways, and what the answer says of that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.message import FieldBlock, Request, Response
from edgeproxy.images.choice import Rules
from edgeproxy.images.front import FIELD, PARAMETERS, Front
from edgeproxy.images.hints import ACCEPT_CH
from edgeproxy.pipeline.exchange import Exchange
from tests.support.stages import exchange

CHROMIUM = b"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = b"image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI = b"image/webp,image/avif,image/jxl,image/heic,video/*;q=0.8,image/png,image/*;q=0.8,*/*;q=0.5"


class Door:
    """A front with everything on; ``refused`` are the sentences it said, ``observed`` what it would have made."""

    def __init__(self, **settings: Any) -> None:
        self.refused: list[tuple[int, str]] = []
        self.observed = 0
        self.judged: list[Request] = []
        self.allowed = True
        rules = Rules(hints=settings.pop("hints", False), saving=50)
        self.front = Front(
            rules,
            settings.pop("prefix", b"/cdn-cgi/image/"),
            settings.pop("query", True),
            frozenset((b".jpg", b".png")) if settings.pop("auto", True) else frozenset(),
            ACCEPT_CH if rules.hints else b"",
            self._judge,
            self._refuse,
            self._observe if settings.pop("observe", False) else None,
        )
        assert not settings

    def asks(self, target: bytes, *, method: bytes = b"GET", **fields: bytes) -> Exchange:
        """The exchange of a request, after the front."""
        headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
        x = exchange(target, {b"host": b"www.example.com"} | headers, method=method)
        self.answer = self.front.request(x)
        return x

    def _judge(self, x: Exchange, request: Request) -> bool:
        self.judged.append(request)
        return self.allowed

    def _refuse(self, status: int, why: str) -> Response:
        self.refused.append((status, why))
        return Response(status)

    def _observe(self) -> None:
        self.observed += 1


def test_three_ways_to_ask_are_one_facet_of_one_picture() -> None:
    door = Door()
    for x in (
        door.asks(b"/cdn-cgi/image/format=webp,width=640/a/photo.jpg?v=1"),
        door.asks(b"/cdn-cgi/image/w=640,f=webp/http://www.example.com/a/photo.jpg?v=1"),
        door.asks(b"/a/photo.jpg?width=640&v=1&format=webp"),
        door.asks(b"/a/photo.jpg?%77idth=640&v=1", accept=b"image/webp"),
        Door(hints=True).asks(b"/a/photo.jpg?v=1", accept=b"image/webp", sec_ch_width=b"601"),
    ):
        request = x.request
        assert (request.target, request.path, request.query) == (b"/a/photo.jpg?v=1", b"/a/photo.jpg", b"v=1")
        assert (request.authority, request.host) == (b"www.example.com", b"www.example.com")
        assert x.facet == b"f=webp,w=640"
    assert door.refused == []


def test_what_was_asked_for_is_remembered_where_it_was_another_target() -> None:
    door = Door()
    for target in (b"/cdn-cgi/image/width=640/photo.jpg?v=1", b"/photo.jpg?width=640&v=1"):
        assert door.asks(target).asked == target
    assert door.asks(b"/photo.jpg", accept=CHROMIUM).asked == b""


@pytest.mark.parametrize("accept", [CHROMIUM, FIREFOX, SAFARI])
def test_browsers_that_mean_the_same_are_given_the_same(accept: bytes) -> None:
    assert Door().asks(b"/photo.jpg", accept=accept).facet == b"f=avif"


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        (b"/photo.jpg", {}),
        (b"/photo.jpg", {"accept": b"*/*"}),
        (b"/photo.svg", {"accept": CHROMIUM}),
        (b"/photo", {"accept": CHROMIUM}),
        (b"/photo.jpg/", {"accept": CHROMIUM}),
        (b"/page?x=.jpg", {"accept": CHROMIUM}),
        (b"/cdn-cgi/image", {}),
        (b"/x/cdn-cgi/image/w=640/photo.jpg", {}),
        (b"/page?page=2&width", {"method": b"POST"}),
        (b"/cdn-cgi/image/w=640/photo.jpg", {"method": b"OPTIONS"}),
        (b"/photo.jpg", {"method": b"PUT", "accept": CHROMIUM}),
        (b"/page?widths=1&xw=2", {}),
    ],
)
def test_what_asks_for_no_variant_is_left_alone(target: bytes, fields: dict[str, Any]) -> None:
    door = Door()
    x = door.asks(target, **fields)
    assert (door.answer, x.facet, x.asked, x.settled, x.request.target) == (None, b"", b"", frozenset(), target)


def test_the_fields_that_a_facet_has_taken_in_are_named() -> None:
    door = Door(hints=True)
    assert door.asks(b"/a.jpg?width=320", accept=CHROMIUM).settled == {b"accept"}
    assert door.asks(b"/cdn-cgi/image/w=320/a.jpg", accept=CHROMIUM).settled == frozenset()
    fields = {b"accept", b"sec-ch-width", b"sec-ch-viewport-width", b"sec-ch-dpr", b"save-data"}
    assert door.asks(b"/a.jpg", accept=CHROMIUM).settled == fields


def test_of_an_endless_query_only_the_beginning_is_looked_at() -> None:
    door = Door(auto=False)
    assert door.asks(b"/a?" + b"x&" * (PARAMETERS - 1) + b"width=320").facet == b"w=320"
    assert door.asks(b"/a?" + b"x&" * PARAMETERS + b"width=320").facet == b""


def test_an_extension_counts_in_any_case() -> None:
    assert Door().asks(b"/PHOTO.JPG", accept=CHROMIUM).facet == b"f=avif"


def test_what_a_query_leaves_open_is_chosen_where_pictures_are_chosen_for() -> None:
    door = Door(hints=True)
    told = {"accept": CHROMIUM, "sec_ch_width": b"601"}
    assert door.asks(b"/a.jpg?quality=75", **told).facet == b"f=avif,q=75,w=640"
    assert door.asks(b"/a.jpg?width=320", **told).facet == b"f=avif,w=320"
    assert door.asks(b"/a.jpg?height=320", **told).facet == b"f=avif,h=320"
    assert door.asks(b"/a.jpg?format=png", **told).facet == b"f=png,w=640"
    assert door.asks(b"/a?width=320", **told).facet == b"w=320"
    assert door.asks(b"/cdn-cgi/image/width=320/a.jpg", **told).facet == b"w=320"


def test_each_way_can_be_off() -> None:
    assert Door(prefix=b"").asks(b"/cdn-cgi/image/width=320/a.jpg").facet == b""
    assert Door(query=False, auto=False).asks(b"/a.jpg?width=320", accept=CHROMIUM).facet == b""
    assert Door(prefix=b"/i/").asks(b"/i/width=320/a.jpg").request.target == b"/a.jpg"


def test_the_rest_of_a_query_stays_as_it_was() -> None:
    assert Door().asks(b"/a?b=%20+1&width=320&a&&b=2").request.target == b"/a?b=%20+1&a&&b=2"
    assert Door().asks(b"/a?width=320").request.target == b"/a"
    assert Door().asks(b"/cdn-cgi/image/w=320/a?width=9").request.target == b"/a?width=9"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (b"/cdn-cgi/image/width=321/a.jpg", "width is one of 320, 640, 1280 here."),
        (b"/a?width=321", "width is one of 320, 640, 1280 here."),
        (b"/a?width=320&width=640", "width is given twice."),
        (b"/cdn-cgi/image/secret=1/a.jpg", "There is an unknown option; known are "),
        (b"/cdn-cgi/image/width=320", "Options and a picture are missing."),
        (b"/cdn-cgi/image/width=320/ftp://a/b", "The picture's URL is neither a path nor an http or https URL."),
    ],
)
def test_what_cannot_be_followed_is_refused_with_a_sentence(target: bytes, said: str) -> None:
    door = Door()
    x = door.asks(target)
    assert isinstance(door.answer, Response)
    ((status, why),) = door.refused
    assert (status, x.facet) == (400, b"")
    assert why.startswith(said)


def test_a_picture_that_is_no_source_here_is_refused_before_anything_else() -> None:
    door = Door()
    door.allowed = False
    door.asks(b"/cdn-cgi/image/width=320/private/a.jpg")
    assert [status for status, _ in door.refused] == [403]
    assert door.judged[0].path == b"/private/a.jpg"


def test_another_host_is_asked_as_nobody_and_under_its_own_name() -> None:
    door = Door()
    x = door.asks(
        b"/cdn-cgi/image/width=320/https://img.example.com:8080/a.jpg",
        cookie=b"session=1",
        authorization=b"Bearer x",
        x_forwarded_host=b"www.example.com",
        forwarded=b"for=192.0.2.7;host=www.example.com",
    )
    request = x.request
    assert (request.authority, request.host) == (b"img.example.com:8080", b"img.example.com")
    assert request.headers == {
        b"host": b"img.example.com:8080",
        b"x-forwarded-host": b"img.example.com:8080",
        b"forwarded": b'for=192.0.2.7;proto=http;host="img.example.com:8080"',
    }
    assert door.judged == [request]


def test_the_same_host_keeps_what_the_client_is_known_by() -> None:
    x = Door().asks(b"/cdn-cgi/image/width=320/https://www.example.com/a.jpg", cookie=b"session=1")
    assert x.request.headers[b"cookie"] == b"session=1"
    assert x.request.scheme == b"http"


def test_observing_counts_and_changes_nothing() -> None:
    door = Door(observe=True)
    for target in (b"/cdn-cgi/image/w=320/http://b.example/a.jpg", b"/a?width=320", b"/a.jpg"):
        x = door.asks(target, accept=CHROMIUM, cookie=b"a=1")
        assert (x.facet, x.asked, x.settled, x.request.target) == (b"", b"", frozenset(), target)
        assert (x.request.authority, x.request.headers[b"cookie"]) == (b"www.example.com", b"a=1")
    assert door.observed == 3


# What the answer says.


def answered(door: Door, x: Exchange, response: Response | None = None) -> Response:
    response = response or Response(200, {b"content-type": b"image/webp"}, b"x")
    door.front.response(x, response)
    return response


@pytest.mark.parametrize(
    ("target", "vary"),
    [
        (b"/cdn-cgi/image/w=320,f=webp/a.jpg", None),
        (b"/cdn-cgi/image/format=auto/a.jpg", b"accept"),
        (
            b"/cdn-cgi/image/format=auto,width=auto/a",
            b"accept, save-data, sec-ch-dpr, sec-ch-viewport-width, sec-ch-width",
        ),
        (b"/cdn-cgi/image/w=320,scq=50/a", b"ect, save-data"),
        (b"/a?width=320", None),
        (b"/a.jpg?width=320", b"accept"),
        (b"/a.jpg", b"accept, save-data, sec-ch-dpr, sec-ch-viewport-width, sec-ch-width"),
        (b"/a.css", None),
    ],
)
@pytest.mark.parametrize("accept", [CHROMIUM, b"*/*"])
def test_vary_names_what_the_answer_was_chosen_by_also_where_that_was_the_original(
    target: bytes, vary: bytes | None, accept: bytes
) -> None:
    door = Door(hints=True)
    assert answered(door, door.asks(target, accept=accept)).get(b"vary") == vary


def test_vary_is_told_without_touching_the_stored_fields() -> None:
    door, kept = Door(), FieldBlock({b"content-type": b"image/avif"})
    response = answered(door, door.asks(b"/a.jpg", accept=CHROMIUM), Response(200, shared=kept))
    assert response.shared is kept
    assert response.own == {b"vary": b"accept, save-data"}


def test_vary_keeps_what_it_says_already() -> None:
    door = Door()
    response = answered(door, door.asks(b"/a.jpg?width=320"), Response(200, {b"vary": b"Origin, Accept"}))
    assert response.get(b"vary") == b"Origin, Accept"
    response = answered(door, door.asks(b"/a.jpg?width=320"), Response(200, {b"vary": b"Origin"}))
    assert response.get(b"vary") == b"Origin, accept"


@pytest.mark.parametrize(
    ("target", "location"),
    [
        (b"/cdn-cgi/image/w=320,onerror=redirect/a.jpg?v=1", b"/a.jpg?v=1"),
        (b"/a.jpg?width=320&onerror=redirect&v=1", b"/a.jpg?v=1"),
        (b"/cdn-cgi/image/w=320,onerror=redirect/http://b.example/a.jpg", b"http://b.example/a.jpg"),
    ],
)
def test_who_wants_to_is_sent_to_the_original_where_there_is_no_variant(target: bytes, location: bytes) -> None:
    door = Door()
    x = door.asks(target)
    failed = answered(door, x, Response(200, {b"etag": b'"1"', FIELD: b"original; reason=pixels"}, b"original"))
    assert (failed.status, failed.body, failed.get(b"location")) == (302, b"", location)
    assert failed.get(b"cache-control") == b"no-store"
    assert failed.get(b"etag") is None
    assert answered(door, x).status == 200


def test_pages_ask_browsers_for_hints_where_they_are_used() -> None:
    for content_type in (b"text/html", b"Text/HTML; charset=utf-8"):
        door = Door(hints=True)
        response = answered(door, door.asks(b"/"), Response(200, {b"content-type": content_type}))
        assert response.get(b"accept-ch") == ACCEPT_CH
    for door, content_type in ((Door(hints=True), b"text/htmlx"), (Door(), b"text/html")):
        assert answered(door, door.asks(b"/"), Response(200, {b"content-type": content_type})).get(b"accept-ch") is None


@given(st.binary(max_size=60), st.binary(max_size=30))
def test_whatever_is_asked_for_is_answered_or_goes_on(rest: bytes, accept: bytes) -> None:
    door = Door(hints=True)
    for target in (b"/cdn-cgi/image/" + rest, b"/a.jpg?" + rest):
        x = door.asks(target, accept=accept, sec_ch_width=accept)
        assert (door.answer is not None) == (len(door.refused) > 0) or door.answer is None
        answered(door, x)
