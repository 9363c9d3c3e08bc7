"""The images stage: its settings, whose pictures it takes, and that it does nothing where nothing is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.config.trial import explain_request, load_and_build, make_request
from edgeproxy.errors import EdgeError
from edgeproxy.http.message import Response
from edgeproxy.pipeline.chain import compile_chain
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Services
from middleware.images import Images
from middleware.signed_url import SignedUrl
from tests.support.stages import exchange, route, services, stage

CHROMIUM = {b"accept": b"image/avif,image/webp,*/*;q=0.8"}
ROUTES = {b"/private/a.jpg": route(name="private"), b"/stock/a.jpg": route(name="stock"), b"/a.jpg": route()}


def lent() -> Services:
    return replace(services(), route=lambda request: ROUTES.get(request.path))


def images(settings: dict[str, Any] | None = None, given: Services | None = None) -> Images:
    return stage(Images, settings, given or lent())


def counted(given: Services, name: str, label: str, *values: str) -> float:
    return given.metrics.counter(name, "", (label,)).value(*values)


def asked(kind: Images, target: bytes) -> tuple[Exchange, Response | None]:
    x = exchange(target, dict(CHROMIUM))
    return x, kind.request(x)


def test_by_default_a_prefix_asks_for_a_variant_and_nothing_else_does() -> None:
    kind = images()
    assert asked(kind, b"/cdn-cgi/image/width=640/a.jpg")[0].facet == b"w=640"
    assert asked(kind, b"/a.jpg?width=640")[0].facet == b""
    assert asked(kind, b"/a.jpg")[0].facet == b""


def test_queries_and_paths_ask_where_they_may() -> None:
    assert asked(images({"query": True}), b"/a.jpg?width=640")[0].facet == b"w=640"
    assert asked(images({"auto": True}), b"/a.jpg")[0].facet == b"f=avif"
    assert asked(images({"auto": True, "formats": "webp"}), b"/a.jpg")[0].facet == b"f=webp"
    assert asked(images({"auto": True, "extensions": ["png"]}), b"/a.jpg")[0].facet == b""
    assert asked(images({"prefix": "off"}), b"/cdn-cgi/image/width=640/a.jpg")[0].facet == b""
    assert asked(images({"prefix": "/pics/"}), b"/pics/width=640/a.jpg")[0].facet == b"w=640"


@pytest.mark.parametrize(
    ("target", "sources", "status"),
    [
        (b"/a.jpg", [], None),
        (b"/private/a.jpg", [], 403),
        (b"/stock/a.jpg", [], 403),
        (b"/stock/a.jpg", ["stock"], None),
        (b"/private/a.jpg", ["stock"], 403),
        (b"/nowhere/a.jpg", ["stock"], 403),
    ],
)
def test_only_pictures_of_its_own_route_and_of_configured_ones_are_taken(
    target: bytes, sources: list[str], status: int | None
) -> None:
    x, answer = asked(images({"sources": sources}), b"/cdn-cgi/image/width=640" + target)
    assert (None if answer is None else answer.status) == status
    assert (x.facet == b"w=640") is (status is None)


def test_a_refusal_is_a_sentence_that_is_not_stored_and_counted() -> None:
    given = lent()
    _, answer = asked(images({"widths": [100, 50]}, given), b"/cdn-cgi/image/width=640/a.jpg")
    assert answer is not None
    assert (answer.status, answer.body) == (400, b"400 width is one of 50, 100 here.\n")
    assert answer.get(b"cache-control") == b"no-store"
    assert counted(given, "edgeproxy_refused_total", "stage", "images") == 1


def test_where_any_size_may_be_asked_for_somebody_has_to_know_who_asks() -> None:
    signed = stage(SignedUrl, {"secrets": {"a": "x" * 32}})
    assert images({"sizes": "any"}).misses({"signed_url": signed}) == ""
    assert images({"sizes": "listed"}).misses({}) == ""
    assert "signed_url" in images({"sizes": "any"}).misses({})
    assert asked(images({"sizes": "any"}), b"/cdn-cgi/image/width=641,blur=3/a.jpg")[0].facet == b"blur=3,w=641"


def test_options_that_take_numbers_at_will_have_to_be_named() -> None:
    assert asked(images(), b"/cdn-cgi/image/blur=3/a.jpg")[1] is not None
    assert asked(images({"options": ["blur"]}), b"/cdn-cgi/image/blur=3/a.jpg")[0].facet == b"blur=3"


@pytest.mark.parametrize(
    "settings",
    [
        {"widths": []},
        {"widths": [0]},
        {"widths": [20_000]},
        {"qualities": [101]},
        {"prefix": "/"},
        {"prefix": "/images"},
        {"prefix": "images/"},
        {"options": ["border"]},
        {"formats": ["jpeg"]},
        {"extensions": [".jpg"]},
        {"save_data": 0},
        {"limits": {"pixels": 1}},
        {"studio": {"processes": 0}},
        {"studio": {"likeness": 2}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        images(settings)


async def test_only_an_exchange_with_a_facet_is_fetched_here() -> None:
    kind, x = images(), exchange(b"/a.jpg")
    assert kind.fetch(x) is None
    x.facet = b"w=640"
    later = kind.fetch(x)
    assert later is not None
    with pytest.raises(EdgeError):  # nothing is behind this route
        await later


async def test_it_begins_and_ends_its_studio() -> None:
    kind = images()
    await kind.start()
    await kind.stop()


def test_observing_counts_and_takes_part_in_nothing_else() -> None:
    given = lent()
    kind = images({"mode": "observe", "auto": True}, given)
    chain = compile_chain([kind])
    assert (len(chain.request), len(chain.fetch), len(chain.responders)) == (1, 0, 0)
    x = exchange(b"/a.jpg", dict(CHROMIUM))
    assert chain.request[0].hook(x) is None
    assert (x.facet, counted(given, "edgeproxy_images_total", "outcome", "observed")) == (b"", 1)


def test_what_a_url_asks_for_can_be_told_without_serving_it(tmp_path: Path) -> None:
    file = tmp_path / "edgeproxy.yaml"
    file.write_text(
        "listeners: [{address: 127.0.0.1:1}]\n"
        "pools: {site: {endpoints: [http://127.0.0.1:1]}}\n"
        "routes: [{name: all, pool: site}, {name: private, pool: site, match: {path: /private/}}]\n"
        "middleware: {images: {}}\n"
    )
    _, snapshot = load_and_build(file)

    def told(url: str) -> str:
        return "\n".join(explain_request(snapshot, make_request(url, "GET", [])))

    said = told("http://a.example/cdn-cgi/image/width=640,format=webp/a.jpg")
    assert "images: f=webp,w=640 of /a.jpg\n" in said
    assert "key http://a.example/a.jpg#&f=webp,w=640 " in said
    assert "images: 403 " in told("http://a.example/cdn-cgi/image/width=640/private/a.jpg")
    assert "images: no variant\n" in told("http://a.example/a.jpg")
