"""Whose pictures a node takes: none from elsewhere, none past a guard, and of signed URLs only what was signed."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import bcrypt
import pytest

from edgeproxy.identity.urls import Names, grant
from tests.support.answers import Answer
from tests.support.client import ask
from tests.support.gallery import FRESH, JPEG, TAG, TYPE, Gallery, shown
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site

SECRET = "a-secret-of-32-bytes-for-signing"
NAMES = Names("expires", "keyid", "signature", "folder")
WIDTH = b"/cdn-cgi/image/width=320"
PASSWORD = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).replace(b"$2b$", b"$2y$").decode()
ANN = b"Authorization: Basic " + b64encode(b"ann:secret")


def route(name: str, stages: dict[str, Any], **match: str) -> dict[str, Any]:
    return {"name": name, "pool": "site", "match": {"host": "a.example"} | match, "middleware": stages}


@pytest.fixture(scope="module")
def gallery() -> Iterator[Gallery]:
    """One host, with parts of it behind guards: in rules of its route, and in routes of their own."""
    with Site() as site:
        for path in (b"/a.jpg", b"/private/a.jpg", b"/stock/a.jpg", b"/members/a.jpg", b"/sold/a.jpg"):
            site.on(path, answer(200, JPEG, TYPE, FRESH, TAG))
        rules = {"rules": [{"deny": {"path": ["/private/"]}}]}
        members = {"passwords": {"ann": PASSWORD}}
        signed = {"secrets": {"now": SECRET}}
        settings = {
            "pools": {"site": {"endpoints": [site.url]}},
            "routes": [
                route("site", {"access_rules": rules, "images": {"sources": ["stock"], "query": True}}),
                route("stock", {}, path="/stock/"),
                route("members", {"basic_auth": members}, path="/members/"),
                route("sold", {"signed_url": signed, "images": {"sizes": "any"}}, host="sold.example"),
            ],
            "middleware": {"images": {}},
        }
        with EdgeProcess(settings) as edge:
            yield Gallery(edge, site)


@pytest.mark.parametrize(
    "url",
    [
        b"http://169.254.169.254/latest/meta-data/a.jpg",
        b"http://127.0.0.1/a.jpg",
        b"http://localhost/a.jpg",
        b"http://[::1]/a.jpg",
        b"http://2130706433/a.jpg",
        b"http://0x7f000001/a.jpg",
        b"http://other.example/a.jpg",
        b"https://a.example.other.example/a.jpg",
        b"http://a.example@other.example/a.jpg",
        b"http://other.example\\@a.example/a.jpg",
        b"http://other.example%2Fa.example/a.jpg",
        b"http://a.example%00.other.example/a.jpg",
        b"http://a.example/../other.example/a.jpg",
        b"//other.example/a.jpg",
        b"/\\other.example/a.jpg",
        b"http:other.example/a.jpg",
        b"http:/other.example/a.jpg",
        b"http:///other.example/a.jpg",
        b"ftp://a.example/a.jpg",
        b"file:///etc/passwd",
        b"unix:///run/app.sock",
        b"cdn-cgi/image/width=320/a.jpg",
        b"http://a.example/cdn-cgi/image/width=320/a.jpg",
    ],
    ids=bytes.decode,
)
def test_what_lies_on_no_route_of_this_node_is_asked_for_nowhere(gallery: Gallery, url: bytes) -> None:
    gallery.site.clear()
    assert gallery.get(WIDTH + b"/" + url).status in {400, 403}
    assert gallery.site.requests == []


@pytest.mark.parametrize(
    "target",
    [
        *(WIDTH + b"/private/a.jpg", WIDTH + b"//private/a.jpg", WIDTH + b"/x/../private/a.jpg"),
        *(WIDTH + b"/%70rivate/a.jpg", WIDTH + b"/http://a.example/private/a.jpg"),
        *(WIDTH + b"/./private/a.jpg", b"/private/a.jpg?width=320"),
        *(WIDTH + b"/members/a.jpg", WIDTH + b"/x/../members/a.jpg", WIDTH + b"/http://A.EXAMPLE/members/a.jpg"),
    ],
)
def test_a_guarded_picture_has_no_variants_for_who_may_not_see_it(gallery: Gallery, target: bytes) -> None:
    gallery.site.clear()
    assert gallery.get(target).status in {400, 403}
    assert gallery.get(target, ANN).status in {400, 403}
    assert gallery.site.requests == []


def test_who_may_see_it_asks_on_its_own_route(gallery: Gallery) -> None:
    assert gallery.get(b"/members/a.jpg").status == 401
    assert gallery.get(b"/members/a.jpg", ANN).body == JPEG


def test_a_route_that_is_named_as_a_source_is_one(gallery: Gallery) -> None:
    response = gallery.get(WIDTH + b"/stock/a.jpg")
    assert (response.status, shown(response).width) == (200, 320)


def test_an_absolute_url_of_this_host_is_one_with_its_path(gallery: Gallery) -> None:
    one, other = gallery.get(WIDTH + b"/https://A.Example/a.jpg"), gallery.get(WIDTH + b"/a.jpg")
    assert (one.status, other.get(b"cache-status"), one.body) == (200, b"edgeproxy; hit", other.body)


def signed(path: bytes) -> bytes:
    return path + b"?" + grant(SECRET.encode(), NAMES, "now", path, b"", 9_999_999_999, b"", folder=False).encode()


def test_of_a_signed_url_nothing_can_be_changed(gallery: Gallery) -> None:
    def get(target: bytes) -> Answer:
        return ask(gallery.edge.address, b"GET %b HTTP/1.1\r\nHost: sold.example\r\n\r\n" % target).final[0]

    good = signed(b"/cdn-cgi/image/width=321,blur=2/sold/a.jpg")
    response = get(good)
    assert (response.status, shown(response).width) == (200, 321)
    changed = [
        b"/cdn-cgi/image/width=321,blur=2/sold/a.jpg",
        good.replace(b"width=321", b"width=322"),
        good.replace(b"width=321", b"w=321"),
        good.replace(b",blur=2", b""),
        good.replace(b"/sold/a.jpg", b"/a.jpg"),
        good.replace(b"/cdn-cgi/image/width=321,blur=2", b""),
        good + b"&width=9",
    ]
    assert [get(one).status for one in changed] == [403] * len(changed)
    assert all(b"signature" not in seen.target for seen in gallery.site.requests)
