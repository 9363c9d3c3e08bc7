"""Sitemaps: what they list, and what is refused."""

from __future__ import annotations

import pytest

from edgeproxy.warm import sitemap

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
SPACE = b' xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'
PAGES = (
    b"<urlset%b><url><loc>\n  https://a.example/?a=1&amp;b=2 </loc><lastmod>2026-11-21</lastmod>"
    b"<image:image><image:loc>https://a.example/i.png</image:loc></image:image></url>"
    b"<url><loc>https://a.example/<![CDATA[x]]></loc></url></urlset>" % SPACE
)


def test_a_sitemap_lists_pages_and_nothing_of_its_extensions() -> None:
    assert sitemap.parse(HEAD + PAGES) == (["https://a.example/?a=1&b=2", "https://a.example/x"], [])


def test_an_index_lists_sitemaps() -> None:
    document = b"<sitemapindex%b><sitemap><loc>https://a.example/1.xml.gz</loc></sitemap></sitemapindex>" % SPACE
    assert sitemap.parse(document) == ([], ["https://a.example/1.xml.gz"])


def test_a_sitemap_without_its_namespace_is_one_too() -> None:
    assert sitemap.parse(b"<urlset><url><loc>https://a.example/</loc></url></urlset>").urls == ["https://a.example/"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"<urlset>", "not well-formed"),
        (b"<html/>", "not with html"),
        (b'<!DOCTYPE urlset [<!ENTITY a "b">]><urlset/>', "document type"),
        (b'<!DOCTYPE urlset SYSTEM "file:///etc/passwd"><urlset/>', "document type"),
        (b" " * (sitemap.LARGEST + 1), "at most 50 MiB"),
        (b"<urlset>" + b"<url><loc>x</loc></url>" * (sitemap.MOST + 1) + b"</urlset>", "at most 50000"),
    ],
)
def test_what_is_no_sitemap_is_refused(document: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sitemap.parse(document)
