"""The live page: served with a strict policy, working in a real browser, on a phone and in the dark."""

from __future__ import annotations

import http.client
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edgeproxy.supervisor.page.files import FILES, FOLDER, page_files
from tests.support.browser import Page, browser_page
from tests.support.client import ask
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

TOKEN = "a-token-of-the-tests-own"
FIGURE = "Number.parseFloat(document.querySelector('#{}').textContent)"
CLOSE = b"Connection: close"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/page", answer(200, b"<p>kept", b"Cache-Control: max-age=600", b"Content-Type: text/html"))
        site.on(b"/secret?token=hush", answer(200, b"kept", b"Cache-Control: max-age=600"))
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(site.url, workers=2, log={"access": False})) as edge:
        yield edge


@pytest.fixture(scope="module")
def guarded(site: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(site.url, admin={"token": TOKEN}, log={"access": False})) as edge:
        yield edge


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browser_page() as opened:
        yield opened


def visit(edge: EdgeProcess, target: bytes = b"/page", times: int = 1) -> None:
    for _ in range(times):
        ask(edge.address, request(target, CLOSE))


async def open_page(edge: EdgeProcess, page: Page) -> None:
    await page.open(f"{edge.admin_url}/")
    await page.until("!document.querySelector('#figures').hidden")


@pytest.mark.parametrize("path", sorted(FILES))
def test_files_are_served_to_whoever_asks_with_a_strict_policy(guarded: EdgeProcess, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", guarded.admin_port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert (response.status, body) == (200, (FOLDER / FILES[path][0]).read_bytes())
    assert response.headers["Content-Type"] == FILES[path][1]
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"} <= set(policy)
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_every_file_of_the_folder_is_served() -> None:
    assert {name for name, _ in FILES.values()} == {one.name for one in Path(FOLDER).iterdir()} - {
        "__init__.py",
        "__pycache__",
        "files.py",
    }
    assert sum(len(file.body) for file in page_files().values()) < 64_000


async def test_figures_move_and_the_console_is_clean(edge: EdgeProcess, page: Page) -> None:
    visit(edge, times=3)
    await open_page(edge, page)
    await page.until("document.querySelector('#urls').textContent.includes('a.example/page')")
    before = await page.run("document.querySelector('#tiers').textContent")
    visit(edge, times=20)
    await page.until(f"document.querySelector('#tiers').textContent !== {before!r}")
    assert await page.run(FIGURE.format("now-requests")) > 0
    assert await page.run(FIGURE.format("now-hits")) > 0
    assert "html" in await page.run("document.querySelector('#types').textContent")
    assert "up" in await page.run("document.querySelector('#endpoints').textContent")
    assert await page.run("document.querySelector('[data-line=requests]').getAttribute('aria-label')")
    assert page.complaints == []
    assert [url for url in page.responses if not url.startswith(edge.admin_url)] == []


async def test_a_purge_of_the_form_is_done(edge: EdgeProcess, page: Page, site: Site) -> None:
    visit(edge, times=5)
    await open_page(edge, page)
    asked = len(site.to(b"/page"))
    await page.until("document.querySelector('#urls [aria-label=\"Purge http://a.example/page\"]')")
    await page.run("document.querySelector('#urls [aria-label=\"Purge http://a.example/page\"]').click()")
    assert await page.run("document.querySelector('#purge-value').value") == "http://a.example/page"
    await page.run("document.querySelector('#purge-button').click()")
    await page.until("/^[12] stored answers? forgotten/.test(document.querySelector('#purge-result').textContent)")
    visit(edge)
    assert len(site.to(b"/page")) == asked + 1
    assert page.complaints == []


async def test_everything_is_forgotten_only_when_asked_twice(edge: EdgeProcess, page: Page) -> None:
    visit(edge)
    await open_page(edge, page)
    await page.run("document.querySelector('[name=kind][value=all]').click()")
    assert await page.run("document.querySelector('#purge-line').hidden")
    await page.run("document.querySelector('#purge-button').click()")
    assert "Yes" in await page.run("document.querySelector('#purge-button').textContent")
    assert await page.run("document.querySelector('#purge-result').textContent") == ""
    await page.run("document.querySelector('#purge-button').click()")
    await page.until("document.querySelector('#purge-result').textContent.includes('forgotten')")
    assert page.complaints == []


async def test_a_purge_that_is_refused_says_why(edge: EdgeProcess, page: Page) -> None:
    await open_page(edge, page)
    await page.run("document.querySelector('#purge-value').value = 'no address'")
    await page.run("document.querySelector('#purge-button').click()")
    await page.until("document.querySelector('#purge-result.bad')?.textContent.length > 10")


async def test_no_secret_of_a_url_shows(edge: EdgeProcess, page: Page) -> None:
    visit(edge, b"/secret?token=hush", times=30)
    await open_page(edge, page)
    await page.until("document.querySelector('#urls').textContent.includes('/secret?token=***')")
    assert "hush" not in await page.run("document.documentElement.outerHTML")
    assert b"hush" not in edge.admin("/stats")[1]


async def test_a_url_is_shown_as_text_and_never_as_markup(edge: EdgeProcess, page: Page) -> None:
    visit(edge, b"/<img/src=x/onerror=alert(1)>", times=30)
    visit(edge, b"/%3Cimg%20src=x%20onerror=alert(1)%3E", times=30)
    await open_page(edge, page)
    await page.until("document.querySelector('#urls').textContent.includes('onerror')")
    assert await page.run("document.querySelectorAll('img').length") == 0
    assert page.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_it_fits_its_screen_and_can_be_read(edge: EdgeProcess, page: Page, width: int, dark: bool) -> None:
    visit(edge, b"/" + b"long/" * 60, times=30)
    await page.size(width, 844, dark=dark)
    await open_page(edge, page)
    await page.until("document.querySelector('#urls').textContent.includes('long/long')")
    assert await page.run("document.documentElement.scrollWidth") <= width
    assert await page.run(FAINTEST) >= 4.5  # WCAG 2.2 §1.4.3
    assert await page.run(NAMELESS) == []
    assert page.complaints == []


async def test_with_a_token_it_asks_for_it_and_keeps_it_for_the_tab(guarded: EdgeProcess, page: Page) -> None:
    await page.open(f"{guarded.admin_url}/")
    await page.until("!document.querySelector('#token').hidden")
    assert await page.run("document.querySelector('#figures').hidden")
    for given, shown in (("not-the-token-at-all", "'#alert'"), (TOKEN, "'#figures'")):
        await page.run(f"document.querySelector('#token-value').value = '{given}'")
        await page.run("document.querySelector('#token button').click()")
        await page.until(f"!document.querySelector({shown}).hidden")
    await page.run("document.querySelector('[name=how][value=soft]').click()")
    await page.run("document.querySelector('#purge-value').value = 'http://a.example/page'")
    await page.run("document.querySelector('#purge-button').click()")
    await page.until("document.querySelector('#purge-result').textContent.includes('marked stale')")
    await open_page(guarded, page)
    assert TOKEN not in await page.run("document.documentElement.outerHTML")


async def test_it_says_so_when_the_proxy_does_not_answer(site: Site, page: Page) -> None:
    with EdgeProcess(config(site.url, log={"access": False})) as edge:
        await open_page(edge, page)
        edge.stop()
        await page.until("document.querySelector('#alert').textContent.includes('does not answer')")
        assert await page.run("document.querySelector('#figures').classList.contains('old')")


# The least contrast of any text with what it stands on.
FAINTEST = """(() => {
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
        .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
        .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const colour = parse(getComputedStyle(node).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let faintest = 99;
    while (texts.nextNode()) {
        const node = texts.currentNode.parentElement;
        const seen = node.checkVisibility() && !node.closest(".unseen, .skip");
        if (!seen || !texts.currentNode.textContent.trim()) continue;
        const [one, other] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
        faintest = Math.min(faintest, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
    }
    return faintest;
})()"""

# What can be used and says no name.
NAMELESS = """[...document.querySelectorAll("input, button, a")]
    .filter((one) => !(one.labels?.length || one.textContent.trim() || one.ariaLabel))
    .map((one) => one.outerHTML)"""
