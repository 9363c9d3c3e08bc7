"""The demo site in a real browser, through the proxy: pages that work, and a clean console."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.browser import Page, browser_page
from tests.support.processes import EdgeProcess

STRICT = (
    "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGES = ("/", "/stations/", "/photographs/", "/live/", "/reader/", "/sign-in/")
DECODE_ALL = """(async () => {
    for (const image of document.images) { image.loading = "eager"; await image.decode(); }
    return [...document.images].every((image) => image.naturalWidth > 0);
})()"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browser_page() as opened:
        yield opened


async def test_every_page_loads_with_a_clean_console(edge: EdgeProcess, page: Page) -> None:
    for path in PAGES:
        await page.open(edge.url + path)
        assert await page.run(DECODE_ALL), f"a picture of {path} does not show"
        assert await page.run("getComputedStyle(document.querySelector('.top')).display") == "flex", "no style sheet"
        assert page.complaints == [], path
    outside = [url for url in page.responses if not url.startswith(edge.url)]
    assert outside == []


async def test_every_page_works_under_a_strict_content_security_policy(origin: str, page: Page) -> None:
    config = {
        "middleware": {"security_headers": {"csp": STRICT}},
        "drain": {"grace": "0s"},  # the browser keeps the WebSocket of a page that was left
        "pools": {"site": {"endpoints": [origin]}},
        "routes": [
            {"name": "site", "pool": "site"},
            {"name": "models", "match": {"path": "/v2/"}, "pool": "site", "middleware": {"inference": True}},
        ],
    }
    with EdgeProcess(config) as edge:
        for path in PAGES:
            await page.open(edge.url + path)
            assert await page.run(DECODE_ALL)
            assert page.complaints == [], path
        await page.open(f"{edge.url}/live/")
        await page.until("document.querySelector('[data-log] li')")
        assert page.responses[f"{edge.url}/live/"]["headers"]["content-security-policy"] == STRICT
        assert page.complaints == []


async def test_no_page_is_wider_than_its_screen(edge: EdgeProcess, page: Page) -> None:
    for width in (360, 768, 1280):
        await page.size(width, 800)
        for path in PAGES:
            await page.open(edge.url + path)
            assert await page.run("document.documentElement.scrollWidth") <= width, f"{path} on {width} pixels"


async def test_echo_page_talks_over_a_websocket(edge: EdgeProcess, page: Page) -> None:
    await page.open(f"{edge.url}/live/")
    await page.until("document.querySelector('[data-state]').textContent === 'open'")
    await page.run("document.querySelector('#message').value = 'over the edge and back'")
    await page.run("document.querySelector('[data-echo] button').click()")
    await page.until("document.querySelector('[data-log]').textContent.includes('over the edge and back')")
    assert page.complaints == []


async def test_station_list_comes_from_the_api(edge: EdgeProcess, page: Page) -> None:
    await page.open(f"{edge.url}/stations/")
    await page.until("document.querySelectorAll('[data-stations] button').length === 8")
    await page.run("document.querySelector('button[data-id=port-aurel]').click()")
    await page.until("document.querySelector('[data-station] h2')?.textContent === 'Port Aurel'")
    assert page.complaints == []


async def test_a_digit_that_is_drawn_and_a_remark_are_read_at_the_edge(edge: EdgeProcess, page: Page) -> None:
    await page.open(f"{edge.url}/reader/")
    await page.run(
        """(() => {
          const slate = document.querySelector('[data-slate]'), box = slate.getBoundingClientRect();
          const send = (kind, x, y) => slate.dispatchEvent(new PointerEvent(kind, {
            clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerId: 1, bubbles: true,
          }));
          slate.setPointerCapture = () => {};
          send('pointerdown', .5, .15);
          for (let y = .15; y < .86; y += .05) send('pointermove', .5, y);
          send('pointerup', .5, .85);
        })()"""
    )
    await page.until("document.querySelector('[data-read]').textContent === '1'")
    await page.run("document.querySelector('[data-remark] button').click()")
    await page.until("document.querySelector('[data-language]').textContent === 'German'")
    assert page.complaints == []


async def test_a_visitor_is_told_how_much_it_looks_like_a_program(edge: EdgeProcess) -> None:
    async with browser_page() as page:
        await page.open(f"{edge.url}/reader/")
        await page.until("document.querySelector('[data-you]').textContent === 'A program'")
        agent = await page.run("navigator.userAgent")
    async with browser_page(flags=[f"--user-agent={agent.replace('Headless', '')}"]) as page:
        await page.open(f"{edge.url}/reader/")
        await page.until("document.querySelector('[data-you]').textContent === 'A browser'")
        assert page.complaints == []


async def test_members_open_the_schedule_with_their_token(edge: EdgeProcess, page: Page, token: str) -> None:
    await page.open(f"{edge.url}/sign-in/")
    await page.run(f"document.querySelector('#token').value = '{token}'")
    await page.run("document.querySelector('[data-token] button').click()")
    await page.until("document.querySelector('main table')")
    assert page.complaints == []
