"""Variants in all tiers: they outlive the node, reach other nodes, and go when their picture is purged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.gallery import FRESH, TAG, TYPE, Gallery
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.redis_server import RedisServer
from tests.support.site import Site, config

IMAGES = {"images": {"auto": True}}
WAYS = (b"/cdn-cgi/image/format=webp/a.jpg", b"/cdn-cgi/image/width=320/a.jpg", b"/a.jpg")
AVIF = b"Accept: image/avif"
PURGES = (("url", "http://a.example/a.jpg"), ("tag", "gallery"), ("prefix", "http://a.example/"))


def hung(site: Site) -> None:
    Gallery(None, site).hang(b"a.jpg", TYPE, FRESH, TAG, b"Surrogate-Key: gallery")  # type: ignore[arg-type]


def all_of(gallery: Gallery) -> list[bytes | None]:
    """What the cache said of each way to ask."""
    return [gallery.get(way, AVIF).get(b"cache-status") for way in WAYS]


def metric(edge: EdgeProcess, line: str) -> Callable[[], bool]:
    return lambda: line.encode() in edge.admin("/metrics")[1].splitlines()


@pytest.mark.slow
def test_variants_outlive_the_node_on_its_disk(tmp_path: Path) -> None:
    with Site() as site:
        hung(site)
        disk = {"path": str(tmp_path / "l2"), "size": "64MB"}
        settings: dict[str, Any] = config(site.url, middleware=IMAGES, cache={"disk": disk})
        with EdgeProcess(settings) as edge:
            all_of(Gallery(edge, site))
            wait_until(
                metric(edge, "edgeproxy_cache_disk_entries 4.0"), "three variants and their original are written"
            )
        with EdgeProcess(settings) as edge:
            gallery = Gallery(edge, site)
            assert all_of(gallery) == [b"edgeproxy; hit; detail=l2"] * 3
            assert gallery.outcomes() == {}
            assert gallery.asked(b"/a.jpg") == 1


@pytest.mark.slow
def test_variants_reach_other_nodes_and_a_purge_reaches_them_there() -> None:
    with Site() as site, RedisServer() as redis:
        hung(site)
        settings: dict[str, Any] = config(site.url, middleware=IMAGES, cache={"redis": {"url": redis.url}})
        with EdgeProcess(settings) as one, EdgeProcess(settings) as two:
            first, second = Gallery(one, site), Gallery(two, site)
            all_of(first)
            wait_until(lambda: all(b"detail=l3" in (told or b"") for told in all_of(second)), "L3 has them")
            assert second.outcomes().get("made", 0) == 0
            assert first.asked(b"/a.jpg") == 1
            first.purge(url="http://a.example/a.jpg")
            wait_until(lambda: b"hit" not in (second.get(WAYS[0]).get(b"cache-status") or b"hit"), "the purge is there")
            assert first.asked(b"/a.jpg") == 2


def test_a_purge_of_the_picture_is_one_of_its_variants() -> None:
    with Site() as site, EdgeProcess(config(site.url, middleware=IMAGES)) as edge:
        hung(site)
        gallery = Gallery(edge, site)
        all_of(gallery)
        assert all_of(gallery) == [b"edgeproxy; hit"] * 3
        gallery.outcomes()
        for times, (kind, named) in enumerate(PURGES, 2):
            gallery.purge(**{kind: named})
            all_of(gallery)
            assert (gallery.outcomes(), gallery.asked(b"/a.jpg")) == ({"made": 3}, times)
