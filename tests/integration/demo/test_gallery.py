"""The demo's photographs in a real browser: formats it chose, widths it asked for, and nothing that jumps."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest

from middleware.images import Images
from tests.integration.demo.conftest import shipped_config
from tests.support.browser import Page, browser_page
from tests.support.processes import EdgeProcess

IMAGES = {"auto": True, "hints": True}
WIDTHS = Images.Config().widths

# Adds up layout shifts from before the first byte on (https://wicg.github.io/layout-instability/).
COUNT_SHIFTS = """
    window.shifted = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shifted += entry.value;
    }).observe({type: "layout-shift", buffered: true});
"""
# A reader who looks at all of it, slowly enough for pictures to be fetched when they come near.
READ_TO_THE_END = """(async () => {
    for (let at = 0; at < document.body.scrollHeight; at += innerHeight / 2) {
        scrollTo({top: at, behavior: "instant"});
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    }
    for (const image of document.querySelectorAll(".gallery img")) {
        if (!image.complete) await new Promise((done) => { image.onload = image.onerror = done; });
        await image.decode();
    }
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
})()"""
SHOWN = """[...document.querySelectorAll(".gallery img")].map((image) => ({
    url: image.currentSrc,
    place: image.getBoundingClientRect().width * devicePixelRatio,
    pixels: image.naturalWidth,
    whole: Number(image.getAttribute("width")),
}))"""


class Shown(NamedTuple):
    """A picture on the page: the device pixels of its place, of the file, and of the original."""

    url: str
    place: float
    pixels: int
    whole: int


@pytest.fixture(scope="module")
def edge(origin: str) -> Iterator[EdgeProcess]:
    config = shipped_config()
    config["middleware"]["images"] = IMAGES
    with EdgeProcess(config, environment={**os.environ, "EDGEPROXY_ORIGIN": origin}) as process:
        yield process


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browser_page() as opened:
        await opened.call("Page.addScriptToEvaluateOnNewDocument", source=COUNT_SHIFTS)
        yield opened


async def look(page: Page, edge: EdgeProcess, width: int, density: float) -> list[Shown]:
    """Open the gallery on such a screen and read it to its end."""
    metrics: dict[str, Any] = {"width": width, "height": 800, "deviceScaleFactor": density, "mobile": width < 600}
    await page.call("Emulation.setDeviceMetricsOverride", **metrics)
    page.responses.clear()
    await page.open(f"{edge.url}/photographs/")
    await page.run(READ_TO_THE_END)
    return [Shown(**shown) for shown in await page.run(SHOWN)]


def formats(page: Page, shown: list[Shown]) -> set[str]:
    return {page.responses[picture.url]["mimeType"] for picture in shown}


async def test_pictures_are_as_wide_as_their_place_and_nothing_jumps(edge: EdgeProcess, page: Page) -> None:
    for width, density in ((400, 1), (400, 2), (1200, 1), (1200, 2)):
        shown = await look(page, edge, width, density)

        assert len(shown) == 7
        for picture in shown:
            enough = next(listed for listed in WIDTHS if listed >= picture.place)
            assert picture.pixels == min(enough, picture.whole), (width, density, picture)
        assert formats(page, shown) == {"image/avif"}
        assert await page.run("window.shifted") == 0, (width, density)
    assert page.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accept", "format_"),
    [("image/webp,image/apng,*/*;q=0.8", "image/webp"), ("image/png,image/*;q=0.8,*/*;q=0.5", "image/jpeg")],
)
async def test_a_browser_is_sent_nothing_that_it_does_not_name(
    edge: EdgeProcess, page: Page, accept: str, format_: str
) -> None:
    await page.call("Network.setExtraHTTPHeaders", headers={"Accept": accept})

    shown = await look(page, edge, 400, 1)

    assert formats(page, shown) == {format_}
    assert all(picture.pixels <= max(picture.place * 1.1, 384) for picture in shown)
    assert page.complaints == []


async def test_the_page_says_what_was_sent(edge: EdgeProcess, page: Page) -> None:
    shown = await look(page, edge, 1200, 1)

    await page.until("[...document.querySelectorAll('[data-sent]')].every((place) => place.textContent)")
    said = await page.run("[...document.querySelectorAll('[data-sent]')].map((place) => place.textContent)")

    for line, picture in zip(said, shown, strict=True):
        kilobytes = round(int(page.responses[picture.url]["headers"]["content-length"]) / 1000)
        assert line.startswith(f"AVIF · {picture.pixels} "), line
        assert line.endswith(f" · {kilobytes} kB"), line
    assert await page.run("window.shifted") == 0


async def test_who_saves_data_is_sent_fewer_pixels(edge: EdgeProcess, page: Page) -> None:
    usual = {picture.url: picture.pixels for picture in await look(page, edge, 400, 2)}
    await page.call("Emulation.setDataSaverOverride", dataSaverEnabled=True)
    await page.call("Network.clearBrowserCache")

    saving = {picture.url: picture.pixels for picture in await look(page, edge, 400, 2)}

    assert usual.keys() == saving.keys()
    assert all(saving[url] <= usual[url] for url in usual)
    assert sum(saving.values()) < 0.8 * sum(usual.values())


@pytest.mark.slow
async def test_what_one_browser_had_made_is_there_for_the_next(edge: EdgeProcess, page: Page) -> None:
    await look(page, edge, 1200, 1)
    await page.call("Network.clearBrowserCache")

    shown = await look(page, edge, 1200, 1)

    said = [page.responses[picture.url]["headers"]["cache-status"] for picture in shown]
    assert all("; hit" in verdict for verdict in said), said
