"""Variants in a running node: one for all who mean the same, and the original where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import pictures
from tests.support.gallery import FRESH, JPEG, TAG, TYPE, Gallery, shown
from tests.support.origin import RecordedRequest, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config

BROWSERS = {
    "Chromium": (b"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "AVIF"),
    "Firefox": (b"image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", "AVIF"),
    "Safari": (b"image/webp,image/avif,image/jxl,image/heic,video/*;q=0.8,image/png,image/*;q=0.8,*/*;q=0.5", "AVIF"),
    "Firefox 90": (b"image/webp,*/*", "WEBP"),
    "Chromium 80": (b"image/webp,image/apng,image/*,*/*;q=0.8", "WEBP"),
    "Safari 13": (b"image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", "JPEG"),
    "curl": (b"*/*", "JPEG"),
}
CHROMIUM, WEBP = b"Accept: " + BROWSERS["Chromium"][0], b"Accept: image/webp"
VARY = b"accept, save-data, sec-ch-dpr, sec-ch-viewport-width, sec-ch-width"


@pytest.fixture(scope="module")
def node() -> Iterator[Gallery]:
    images = {"auto": True, "query": True, "hints": True}
    with Site() as site, EdgeProcess(config(site.url, middleware={"images": images})) as edge:
        yield Gallery(edge, site)


@pytest.fixture
def gallery(node: Gallery) -> Gallery:
    node.outcomes()
    return node


def test_three_ways_to_ask_are_one_variant_and_one_fetch(gallery: Gallery) -> None:
    target = gallery.hang(b"three.jpg")
    first, *others = [
        gallery.get(b"/cdn-cgi/image/width=320,format=webp/three.jpg"),
        gallery.get(b"/cdn-cgi/image/F=WebP%2Cw=320/http://a.example/three.jpg"),
        gallery.get(b"/three.jpg?format=webp&width=320"),
        gallery.get(target, WEBP, b"Sec-CH-Width: 300"),
    ]
    assert (shown(first).format, shown(first).size) == ("WEBP", (320, 240))
    assert [(one.get(b"cache-status"), one.body) for one in others] == [(b"edgeproxy; hit", first.body)] * 3
    assert (gallery.asked(target), gallery.outcomes()) == (1, {"made": 1})


def test_browsers_share_a_variant_for_each_format(gallery: Gallery) -> None:
    target = gallery.hang(b"browsers.jpg")
    for accept, form in BROWSERS.values():
        response = gallery.get(target, b"Accept: " + accept)
        assert (shown(response).format, response.get(b"vary")) == (form, VARY)
    assert (gallery.asked(target), gallery.outcomes()["made"]) == (1, 2)


def test_fifty_who_come_at_once_share_one_job(gallery: Gallery) -> None:
    target = gallery.hang(b"crowd.jpg")
    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(lambda _: gallery.get(target, CHROMIUM), range(50)))
    assert {(one.status, one.body) for one in answers} == {(200, answers[0].body)}
    assert (shown(answers[0]).format, gallery.asked(target), gallery.outcomes()["made"]) == ("AVIF", 1, 1)


def test_widths_follow_hints_and_who_saves_data_gets_less(gallery: Gallery) -> None:
    target = gallery.hang(b"hints.jpg", body=pictures.encode(pictures.photo(800, 600), "JPEG"))
    assert shown(gallery.get(target, WEBP, b"Sec-CH-Viewport-Width: 200", b"Sec-CH-DPR: 2")).width == 480
    full = gallery.get(target, WEBP, b"Sec-CH-Width: 600", b"Sec-CH-DPR: 2")
    saved = gallery.get(target, WEBP, b"Sec-CH-Width: 600", b"Sec-CH-DPR: 2", b"Save-Data: on")
    assert (shown(full).width, shown(saved).width) == (640, 320)
    assert len(saved.body) < len(full.body) / 2
    assert shown(gallery.get(target, WEBP, b"Sec-CH-Width: x")).width == 800
    page = gallery.site.on(b"/page", answer(200, b"<p>", b"Content-Type: text/html"))
    assert gallery.get(page).get(b"accept-ch") == b"Sec-CH-Width, Sec-CH-Viewport-Width, Sec-CH-DPR"
    assert full.get(b"accept-ch") is None


def test_a_head_bears_the_fields_of_a_get_and_costs_no_job(gallery: Gallery) -> None:
    wanted = b"/cdn-cgi/image/f=webp" + gallery.hang(b"head.jpg")
    head = gallery.get(wanted, method=b"HEAD")
    assert gallery.outcomes() == {"told": 1}
    whole = gallery.get(wanted)
    for name in (b"content-type", b"etag", b"cache-control"):
        assert head.get(name) == whole.get(name) is not None
    assert gallery.get(wanted, method=b"HEAD").get(b"content-length") == b"%d" % len(whole.body)


def test_parts_and_conditions_are_about_the_variant(gallery: Gallery) -> None:
    target = gallery.hang(b"parts.jpg")
    wanted = b"/cdn-cgi/image/f=webp" + target
    first = gallery.get(wanted, b"Range: bytes=0-3")
    assert (first.status, first.body) == (206, b"RIFF")
    whole = gallery.get(wanted)
    assert gallery.get(wanted, b"Range: bytes=-10").body == whole.body[-10:]
    etag = whole.get(b"etag") or b""
    unchanged = gallery.get(wanted, b"If-None-Match: " + etag)
    assert (unchanged.status, unchanged.body, unchanged.get(b"etag")) == (304, b"", etag)
    assert gallery.get(target, b"If-None-Match: " + etag).status == 200
    assert gallery.outcomes()["made"] == 1


def test_a_stale_variant_is_made_again_only_of_another_original(gallery: Gallery) -> None:
    wanted = b"/cdn-cgi/image/f=webp" + gallery.hang(b"stale.jpg", TYPE, TAG, b"Cache-Control: max-age=0")
    first, second = gallery.get(wanted), gallery.get(wanted)
    assert first.body == second.body
    assert gallery.outcomes() == {"made": 1, "unchanged": 1}
    other = pictures.encode(pictures.photo(400, 300, seed=1), "JPEG")
    gallery.hang(b"stale.jpg", TYPE, b'ETag: "v2"', b"Cache-Control: max-age=0", body=other)
    third = gallery.get(wanted)
    assert third.body != first.body
    assert third.get(b"etag") != first.get(b"etag")


def test_facts_and_a_placeholder_are_json_and_kept(gallery: Gallery) -> None:
    wanted = b"/cdn-cgi/image/format=json,width=320" + gallery.hang(b"facts.jpg")
    told = gallery.get(wanted)
    assert told.get(b"content-type") == b"application/json"
    facts = json.loads(told.body)
    assert (facts["width"], facts["height"], facts["original"]["file_size"]) == (320, 240, len(JPEG))
    assert facts["placeholder"].startswith("data:image/")
    assert gallery.get(wanted).get(b"cache-status") == b"edgeproxy; hit"


def test_what_moves_goes_on_moving(gallery: Gallery) -> None:
    moving = pictures.encode(pictures.animation(4), "GIF")
    target = gallery.hang(b"moving.gif", b"Content-Type: image/gif", FRESH, body=moving)
    picture = shown(gallery.get(target, CHROMIUM))
    assert (picture.format, getattr(picture, "n_frames", 1)) == ("WEBP", 4)
    still = shown(gallery.get(b"/cdn-cgi/image/anim=false,format=webp" + target))
    assert getattr(still, "n_frames", 1) == 1


@pytest.mark.parametrize(
    ("name", "body", "fields", "reason"),
    [
        (b"cut.jpg", JPEG[:200], (TYPE, FRESH, TAG), b"damaged"),
        (b"text.jpg", b"<html>not a picture", (TYPE, FRESH, TAG), b"format"),
        (b"drawing.svg", b"<svg/>", (b"Content-Type: image/svg+xml", TAG), b"format"),
        (b"page.html", b"<p>", (b"Content-Type: text/html", TAG), b"format"),
        (b"mine.jpg", JPEG, (TYPE, TAG, b"Cache-Control: max-age=600, no-transform"), b"no-transform"),
    ],
)
def test_where_there_is_no_variant_the_original_is_passed_on_to_the_byte(
    gallery: Gallery, name: bytes, body: bytes, fields: tuple[bytes, ...], reason: bytes
) -> None:
    target = gallery.hang(name, *fields, body=body)
    for _ in range(2):
        response = gallery.get(b"/cdn-cgi/image/width=320,format=webp" + target)
        assert (response.status, response.body, response.get(b"etag")) == (200, body, b'"v1"')
        assert response.get(b"edgeproxy-image") == b"original; reason=" + reason
        assert b"stored" not in (response.get(b"cache-status") or b"")
    assert gallery.outcomes() == {reason.decode(): 2}
    sent_away = gallery.get(b"/cdn-cgi/image/width=320,onerror=redirect" + target)
    assert (sent_away.status, sent_away.get(b"location"), sent_away.body) == (302, target, b"")


def test_what_the_origin_refuses_to_nobody_is_asked_for_by_the_client_itself(gallery: Gallery) -> None:
    def guarded(seen: RecordedRequest) -> bytes:
        if seen.get(b"cookie") == b"session=1":
            return answer(200, JPEG, TYPE, b"Cache-Control: private")
        return answer(401, b"who are you?")

    wanted = b"/cdn-cgi/image/width=320" + gallery.site.on(b"/guarded.jpg", guarded)
    assert gallery.get(wanted).status == 401
    mine = gallery.get(wanted, b"Cookie: session=1")
    assert (mine.status, mine.body) == (200, JPEG)
    assert gallery.get(wanted).status == 401


def test_another_answer_of_the_origin_is_passed_on_and_kept_on_its_terms(gallery: Gallery) -> None:
    target = gallery.site.on(b"/gone.jpg", answer(404, b"gone", FRESH))
    for _ in range(2):
        response = gallery.get(b"/cdn-cgi/image/width=320" + target)
        assert (response.status, response.body) == (404, b"gone")
    assert gallery.asked(target) == 1


def test_options_that_are_not_listed_are_refused_before_anything_is_asked(gallery: Gallery) -> None:
    target = gallery.hang(b"listed.jpg")
    for wanted in (b"/cdn-cgi/image/width=321" + target, target + b"?width=321", b"/cdn-cgi/image/blur=9" + target):
        refused = gallery.get(wanted)
        assert refused.status == 400
        assert refused.body.startswith(b"400 ")
    assert gallery.asked(target) == 0


@pytest.mark.slow
def test_avif_made_in_a_hurry_is_made_well_behind_it() -> None:
    """The first answer comes quickly; what is asked for again is replaced by a smaller copy of the same tag."""
    whole = pictures.encode(pictures.photo(640, 480), "JPEG", quality=92)
    with Site() as site, EdgeProcess(config(site.url, middleware={"images": {}})) as edge:
        gallery = Gallery(edge, site)
        wanted = b"/cdn-cgi/image/format=avif" + gallery.hang(b"slow.jpg", body=whole)
        first = gallery.get(wanted)
        wait_until(lambda: len(gallery.get(wanted).body) < len(first.body), "a better copy is there", 60)
        better = gallery.get(wanted)
        assert better.get(b"etag") == first.get(b"etag")
        assert shown(better).size == (640, 480)
        assert gallery.asked(b"/slow.jpg") == 1
        assert gallery.outcomes()["improved"] == 1
