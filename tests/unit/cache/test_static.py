"""What a path's extension says, whether an answer is that, and paths that servers may read in two ways."""

from __future__ import annotations

import re

import pytest

from edgeproxy.cache.static import HASHED, agrees, reads_two_ways


@pytest.mark.parametrize(
    ("path", "content_type", "expected"),
    [
        (b"/x.css", b"text/css", True),
        (b"/x.CSS", b"Text/CSS; charset=utf-8", True),
        (b"/x.js", b"application/javascript", True),
        (b"/x.jpg", b"image/webp", True),
        (b"/x.woff2", b"font/woff2", True),
        (b"/x.mp4", b"video/mp4", True),
        (b"/x.png", b"application/octet-stream", True),
        (b"/feed.rss", b"application/rss+xml", True),
        (b"/account/x.css", b"text/html", False),
        (b"/account;x.css", b"text/html; charset=utf-8", False),
        (b"/account%2Fx.css", b"application/json", False),
        (b"/account?x.css", b"text/html", False),  # decoded from %3F
        (b"/account\nx.css", b"text/html", False),
        (b"/account/x.xml", b"application/xhtml+xml", False),
        (b"/account/x.css", b"", False),
        (b"/x.css", b"text/cssx", False),
        (b"/x.html", b"text/html", None),
        (b"/x.css/", b"text/html", None),
        (b"/x", b"text/html", None),
        (b"/api/v1.2", b"application/json", None),
    ],
)
def test_an_answer_agrees_with_its_extension_or_not(path: bytes, content_type: bytes, expected: bool | None) -> None:
    assert agrees(path, {b"content-type": content_type} if content_type else {}) is expected


@pytest.mark.parametrize(
    "target",
    [
        b"/static/..%2Faccount",
        b"/static/..%5Caccount",
        b"/a\\b",
        b"/a;b",
        b"/a%3Bb",
        b"/a%3Fb",
        b"/a%23b",
        b"/a%0Ab",
        b"/a%1Fb",
        b"//a",
        b"/a//b",
    ],
)
def test_these_paths_can_be_read_in_two_ways(target: bytes) -> None:
    assert reads_two_ways(target)


@pytest.mark.parametrize("target", [b"/", b"/a/b.css", b"/a%20b", b"/%C3%A4", b"/a?b=//;%2F", b"/a:b@c!d"])
def test_these_paths_can_be_read_in_one_way_only(target: bytes) -> None:
    assert not reads_two_ways(target)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/app.3f2a91bc.js", True),
        ("/assets/main-0123456789abcdef0123.css", True),
        ("/_app/chunks/deadbeef99.js", True),
        ("/app.3f2a91bc.js.map", True),
        ("/app.3f2a91b.js", False),  # seven digits only
        ("/report.20251121.pdf", False),
        ("/widget2024.js", False),
        ("/facade-decoded.js", False),
        ("/3f2a91bc/app.js", False),
        ("/app.3f2a91bc", False),
    ],
)
def test_a_digest_in_a_name_is_found(path: str, expected: bool) -> None:
    assert (re.search(HASHED, path) is not None) is expected
