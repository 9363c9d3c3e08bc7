"""Challenges in a real browser, with and without JavaScript and cookies; and what the cache and the origin see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from edgeproxy.challenge.pages import Pages
from edgeproxy.challenge.puzzle import zero_bits
from tests.support.answers import Answer
from tests.support.browser import Page, browser_page
from tests.support.challenge import puzzle_on, solve
from tests.support.client import RawClient
from tests.support.origin import RecordedRequest, answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

HOME = b"/stations/?line=4&from=a%20b&to='c'"
PAGE = b"<!doctype html><html lang='en'><title>Stations</title><link rel='icon' href='data:,'><h1>Stations</h1>"
SETTINGS = {"when": "always", "difficulty": 14, "wait": "1s"}
# Has workers look for what they will not find, so that the page stays as it is while they look.
ENDLESS = """const send = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (work) { send.call(this, { ...work, bits: 32 }); };"""
PATIENCE = 20.0
ASSETS = Pages("edge-challenge", 0, "en").assets
BROWSER = (b"Accept: text/html", b"Accept-Language: en")


def page_of(asked: RecordedRequest) -> bytes:
    return answer(200, PAGE, b"Content-Type: text/html", b"Cache-Control: no-store")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as opened:
        opened.on(HOME.replace(b"'", b"%27"), page_of)
        opened.on(b"/second", page_of)
        opened.on(b"/kept", answer(200, b"one for all", b"Cache-Control: max-age=60", b"Vary: Cookie"))
        yield opened


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(site.url, middleware={"challenge": SETTINGS}, workers=1)) as process:
        yield process


@pytest.fixture
async def page(site: Site) -> AsyncIterator[Page]:
    site.clear()
    async with browser_page() as opened:
        yield opened


async def shows(page: Page, heading: str) -> None:
    """Wait until the page is headed so; it may load others in between."""
    until = time.monotonic() + PATIENCE
    seen = None
    while seen != heading:
        assert time.monotonic() < until, f"shows {seen!r}, not {heading!r}"
        try:
            seen = await page.run("document.querySelector('h1')?.textContent")
        except RuntimeError:  # it was left just then
            seen = None
        await asyncio.sleep(0.02)


def unexpected(page: Page) -> list[str]:
    """What the console says but for the answer being 403, which it is."""
    return [said for said in page.complaints if "status of 403" not in said]


def fields(edge: EdgeProcess) -> dict[str, float]:
    """Challenges by outcome."""
    lines = edge.admin("/metrics")[1].decode().splitlines()
    counted = [line.split('"') for line in lines if line.startswith("edgeproxy_challenges_total{")]
    return {parts[1]: float(parts[2].strip("} ")) for parts in counted}


def outcomes(before: dict[str, float], edge: EdgeProcess) -> dict[str, float]:
    """What has been added since."""
    return {name: now - before.get(name, 0) for name, now in fields(edge).items() if now != before.get(name, 0)}


async def test_a_browser_solves_the_puzzle_and_lands_where_it_was_going(
    edge: EdgeProcess, site: Site, page: Page
) -> None:
    before = fields(edge)
    await page.open(edge.url + HOME.decode())
    await shows(page, "Stations")
    assert outcomes(before, edge) == {"served": 1, "solved": 1, "cleared": 1}
    assert await page.run("location.pathname + location.search") == HOME.replace(b"'", b"%27").decode()
    assert await page.run("history.length") == 2, "the challenge is no page to go back to"
    await page.open(f"{edge.url}/second")
    await shows(page, "Stations")
    assert [asked.target for asked in site.requests] == [HOME.replace(b"'", b"%27"), b"/second"]
    assert all(asked.get(b"cookie") is None for asked in site.requests)
    assert await page.run("document.cookie") == "", "scripts cannot read the clearance"
    assert unexpected(page) == []
    assert [url for url in page.responses if not url.startswith((edge.url, "data:"))] == []


async def test_a_browser_without_javascript_waits_and_lands_where_it_was_going(
    edge: EdgeProcess, site: Site, page: Page
) -> None:
    await page.call("Emulation.setScriptExecutionDisabled", value=True)
    await page.open(edge.url + HOME.decode())
    await shows(page, "Stations")
    assert [asked.target for asked in site.requests] == [HOME.replace(b"'", b"%27")]
    assert unexpected(page) == []


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_browser_without_cookies_is_told_so_and_asks_no_more(
    edge: EdgeProcess, site: Site, scripts: bool
) -> None:
    site.clear()
    before = fields(edge)
    async with browser_page({"profile": {"default_content_setting_values": {"cookies": 2}}}) as page:
        await page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        await page.open(edge.url + HOME.decode())
        await shows(page, "Cookies are needed")
        assert await page.run("document.querySelector('main a').href") == edge.url + HOME.replace(b"'", b"%27").decode()
        assert await page.run("document.querySelector('meta[http-equiv], script')") is None, "nothing goes on by itself"
        assert unexpected(page) == []
    assert outcomes(before, edge) == {"served": 1, "solved" if scripts else "waited": 1, "no_cookies": 1}
    assert site.requests == []


async def test_the_page_tells_everybody_what_goes_on(edge: EdgeProcess, page: Page) -> None:
    await page.call("Page.addScriptToEvaluateOnNewDocument", source=ENDLESS)
    await page.size(360, 640, dark=True)
    await page.open(f"{edge.url}/second")
    assert await page.until("document.querySelector('[role=status]').textContent") == "Checking your browser…"
    await page.until("document.querySelector('progress').value > 0")
    assert await page.run("document.documentElement.scrollWidth") <= 360
    assert await page.run("getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 19)"
    tree = await page.call("Accessibility.getFullAXTree")
    names = {node["role"]["value"]: node.get("name", {}).get("value") for node in tree["nodes"] if "role" in node}
    assert names["heading"] == "Just a moment"
    assert names["progressbar"] == "Progress of the check"
    assert "status" in names
    assert unexpected(page) == []


async def test_a_check_that_was_held_starts_with_the_keyboard(edge: EdgeProcess, page: Page) -> None:
    await page.open(f"{edge.url}/second?edge-challenge=made-up")
    assert await page.until("document.querySelector('button:not([hidden])').textContent") == "Continue"
    assert await page.run("document.querySelector('[role=status]').textContent") == ""
    for kind in ("keyDown", "keyUp"):
        await page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert await page.run("document.activeElement.localName") == "button"
    for kind, text in (("keyDown", "\r"), ("keyUp", "")):
        await page.call(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text=text, windowsVirtualKeyCode=13
        )
    await shows(page, "Stations")
    assert await page.run("location.search") == ""


async def test_a_site_whose_policy_forbids_workers_says_that_it_did_not_work(site: Site, page: Page) -> None:
    policy = {"csp": "default-src 'self'; worker-src 'none'", "override": True}
    with EdgeProcess(config(site.url, middleware={"challenge": SETTINGS, "security_headers": policy})) as edge:
        await page.open(f"{edge.url}/second")
        await page.until("document.querySelector('button:not([hidden])')")
        assert await page.run("document.querySelector('[role=status]').textContent") == (
            "The check did not work. Please try again."
        )
        assert site.requests == []


async def test_the_worker_computes_what_the_browser_calls_sha_256(page: Page, edge: EdgeProcess) -> None:
    await page.open(f"{edge.url}/robots.txt")
    source = next(asset.body for name, asset in ASSETS.items() if name.startswith(b"worker-")).decode()
    script = """(async () => {
        %s
        const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
        const out = new Int32Array(8);
        for (let round = 0; round < 200; round++) {
            const seed = hex(crypto.getRandomValues(new Uint8Array(32)));
            const [n] = crypto.getRandomValues(new Uint32Array(1));
            attempt(absorb(seed), n, out);
            const ours = [...out].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
            const text = new TextEncoder().encode(seed + n.toString(16).padStart(8, "0"));
            const theirs = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", text)));
            if (ours !== theirs) return `${seed} ${n}: ${ours} is not ${theirs}`;
        }
        return solve("ab".repeat(32), 12, () => {});
    })()"""
    found = await page.run(script % source)
    assert zero_bits(b"ab" * 32 + found.encode()) >= 12


def ask(edge: EdgeProcess, target: bytes, *lines: bytes, source: str) -> Answer:
    with RawClient(edge.address, source=source) as client:
        client.send(request(target, *BROWSER, *lines))
        return client.answers(1).final[0]


def earn(edge: EdgeProcess, source: str) -> bytes:
    page = ask(edge, b"/kept", source=source)
    earned = ask(edge, b"/kept?edge-challenge=" + solve(puzzle_on(page.body)), source=source)
    assert (page.status, earned.status) == (403, 303)
    return (earned.get(b"set-cookie") or b"").partition(b";")[0]


def test_visitors_who_are_cleared_share_what_is_kept(edge: EdgeProcess, site: Site) -> None:
    site.clear()
    for source in ("127.0.0.2", "127.0.0.3"):
        answers = [ask(edge, b"/kept", b"Cookie: " + earn(edge, source), source=source) for _ in range(2)]
        assert [answer.body for answer in answers] == [b"one for all"] * 2
    own = ask(edge, b"/kept", b"Cookie: theme=dark; " + earn(edge, "127.0.0.2"), source="127.0.0.2")
    assert own.status == 200
    assert [asked.get(b"cookie") for asked in site.to(b"/kept")] == [None, b"theme=dark"]


def test_a_clearance_of_one_address_is_none_for_another(edge: EdgeProcess) -> None:
    answer = ask(edge, b"/kept", b"Cookie: " + earn(edge, "127.0.0.2"), source="127.0.0.4")
    assert answer.status == 403
