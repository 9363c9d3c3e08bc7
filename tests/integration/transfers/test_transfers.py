"""What visitors are sent: a part of a documentation tree, the demo site in a browser; both with and without minify."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.benchmarks.transfers import (
    COMPRESSIBLE,
    DEMO_PAGES,
    SHOW_ALL,
    TREE,
    demo_sites,
    docs_config,
    measure_demo,
    measure_docs,
    sums,
    tree_paths,
    tree_server,
)
from tests.support.browser import Page, browser_page
from tests.support.fetching import fetch, wire_session
from tests.support.processes import EdgeProcess, NginxServer

pytestmark = pytest.mark.slow

EVERY = 50  # pages of the tree
# Elements, attributes, words and where one ends, which is what minifying may not change; of scripts, styles and the
# viewport's width only that they are there, of a path its length.
WORDS = """(html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const told = [];
    const walk = page.createTreeWalker(page.documentElement, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        if (node.nodeType === Node.ELEMENT_NODE) {
            const names = node.getAttributeNames().filter((name) => node.getAttribute(name).trim() !== "");
            const plain = names.filter((name) => !["style", "xmlns"].includes(name) && !name.startsWith("on"));
            const value = (name) => name === "d" ? node.getTotalLength().toFixed(2) : node.getAttribute(name).trim();
            const values = plain.map((name) => `${name}=${value(name)}`).sort();
            told.push(`<${node.localName} ${node.name === "viewport" ? "" : values}>`);
        } else if (!["SCRIPT", "STYLE"].includes(node.parentNode.nodeName)) {
            const exact = node.parentNode.closest("pre, textarea");
            const text = exact ? node.data : node.data.replace(/[ \\t\\n\\r\\f]+/g, " ");
            if (text.trim()) told.push(text);
        }
    }
    return told;
}"""


@pytest.fixture(scope="module")
def nginx() -> Iterator[NginxServer]:
    if not TREE.is_dir():
        pytest.fail("Debian's python3-doc is not installed")
    with tree_server() as running:
        yield running


@pytest.fixture(scope="module")
def minifying(nginx: NginxServer) -> Iterator[EdgeProcess]:
    with EdgeProcess(docs_config(nginx.url, minify=True)) as edge:
        yield edge


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with wire_session() as opened:
        yield opened


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browser_page() as opened:
        yield opened


async def test_a_documentation_tree_shrinks_by_more_than_two_fifths(nginx: NginxServer) -> None:
    docs = await measure_docs(EVERY)
    assert set(docs.plain) == set(docs.first) == set(docs.better) == set(docs.small_first) == set(docs.small_better)
    plain, first, better = (sums(sizes, docs.kinds) for sizes in (docs.plain, docs.first, docs.better))
    for kind in ("HTML", "CSS", "JavaScript", "SVG", "JSON"):
        assert first[kind] <= 0.6 * plain[kind], kind
    assert first["pictures"] == plain["pictures"]
    for path, size in docs.plain.items():
        assert docs.first[path] <= size, path
        assert docs.better[path] <= docs.first[path], path
        assert docs.small_better[path] <= docs.small_first[path], path
    small = sums(docs.small_better, docs.kinds)
    assert sum(small[kind] for kind in COMPRESSIBLE) < sum(better[kind] for kind in COMPRESSIBLE)


async def test_the_demo_site_shrinks_by_more_than_two_fifths_in_a_browser() -> None:
    before, first, better = await measure_demo()
    assert [visit.complaints for visit in (before, first, better)] == [[], [], []]
    for visit in (first, better):
        now, then = sums(visit.bodies, before.kinds), sums(before.bodies, before.kinds)
        assert sum(now[kind] for kind in COMPRESSIBLE) <= 0.6 * sum(then[kind] for kind in COMPRESSIBLE)
        assert now["pictures"] <= then["pictures"]
    assert sum(better.wire.values()) <= sum(first.wire.values())


async def test_minified_pages_of_the_tree_say_the_same(
    session: aiohttp.ClientSession, nginx: NginxServer, minifying: EdgeProcess, page: Page
) -> None:
    smaller = 0
    for path in [path for path in tree_paths(EVERY) if path.endswith(".html")]:
        plain = await fetch(session, nginx.url + path, accept_encoding="identity")
        small = await fetch(session, minifying.url + path, accept_encoding="identity")
        smaller += len(small.body) < len(plain.body)
        told, expected = [await page.run(f"({WORDS})({json.dumps(answer.body.decode())})") for answer in (small, plain)]
        assert _joined(told) == _joined(expected), path
    assert smaller > 5


def _joined(told: list[str]) -> str:
    """White space at the edges of elements may move; it may neither come nor go between words."""
    return re.sub(r"\s*(<[^>]*>)\s*", r"\1", "".join(told))


async def test_minified_scripts_and_styles_are_still_read_by_a_browser(
    session: aiohttp.ClientSession, nginx: NginxServer, minifying: EdgeProcess, page: Page
) -> None:
    """A script compiles, and a style sheet has the same rules, empty ones left out, for the same selectors."""
    rules = """(text) => {
        const sheet = new CSSStyleSheet(); sheet.replaceSync(text);
        const told = [...sheet.cssRules].map((rule) => rule.cssText);
        return told.filter((rule) => !rule.endsWith("{ }")).map((rule) => rule.split("{")[0]);
    }"""
    smaller = 0
    for path in [path for path in tree_paths(EVERY) if path.endswith((".js", ".css"))]:
        plain = await fetch(session, nginx.url + path, accept_encoding="identity")
        small = await fetch(session, minifying.url + path, accept_encoding="identity")
        smaller += len(small.body) < len(plain.body)
        if path.endswith(".css"):
            told, expected = [await page.run(f"({rules})({json.dumps(a.body.decode())})") for a in (small, plain)]
            assert told == expected, path
        else:
            source = {"expression": small.body.decode(), "sourceURL": path, "persistScript": False}
            assert "exceptionDetails" not in await page.call("Runtime.compileScript", **source), path
    assert smaller > 3


# What scripts write last on a page.
WRITTEN = {
    "/stations/": "document.body.innerText.includes('Opened')",
    "/photographs/": "[...document.querySelectorAll('[data-sent]')].every((one) => one.textContent.endsWith('kB'))",
}


async def test_the_demo_site_works_minified(page: Page) -> None:
    """Its pages show the same words, its scripts run, and the console stays clean."""
    text = "document.body.innerText.replace(/\\s+/g, ' ').replace(/\\d+/g, '0')"
    text += ".replace(/[A-Z]+ · 0 . 0 · 0 kB/g, 'a picture')"  # which the proxy sends in another format
    async with demo_sites(minify={"types": ["html", "css", "js", "svg", "json"]}) as (origin, edge):
        for path in DEMO_PAGES:
            shown = []
            for base in (origin, edge.url):
                await page.open(base + path)
                await page.run(SHOW_ALL)
                await page.until(WRITTEN.get(path, "true"))
                shown.append(await page.run(text))
            if path != "/live/":  # which tells the time
                assert shown[0] == shown[1], path
            assert page.complaints == [], path
        told = edge.admin("/metrics")[1].decode()
    minified = re.findall(r'^edgeproxy_minified_total\{[^}]*type="(\w+)"[^}]*\} (\d+)', told, re.MULTILINE)
    assert {"html", "css", "js"} <= {kind for kind, count in minified if int(count)}


def test_the_page_with_the_figures_is_there() -> None:
    page = (Path(__file__).parents[3] / "docs" / "transfer.md").read_text(encoding="utf-8")
    assert "@{" not in page
    assert "| HTML |" in page
