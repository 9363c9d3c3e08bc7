"""Chromium: each page shown with a clean console, and its own fetch for the rest."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.clients.cases import Answer, Case
from tests.clients.run import Client, in_turn
from tests.clients.stand import Stand
from tests.support.browser import Page, browser_page, chromium, trusting

PAGES = ("/", "/stations/", "/photographs/", "/live/", "/reader/", "/sign-in/")
_VERSIONS = {"http/1.1": "h1", "h2": "h2", "h3": "h3"}
_FETCH = """Promise.all(%s.map(async (one) => {
    const body = one.sent ? Uint8Array.from(atob(one.sent), (byte) => byte.charCodeAt(0)) : undefined;
    const answer = await fetch(one.path, { method: one.method, headers: one.fields, body, cache: "no-store" });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return [answer.status, Object.fromEntries(answer.headers), btoa(text)];
}))"""
_ECHO = """new Promise((done, failed) => {
    const socket = new WebSocket("ws" + origin.slice(4) + "/ws/echo");
    const messages = ["one", "two words", "x".repeat(30000)];
    let right = 0, at = 0;
    socket.onopen = () => socket.send(messages[0]);
    socket.onerror = () => done([right, messages.length]);
    socket.onmessage = (event) => {
        right += event.data === messages[at++];
        if (at < messages.length) socket.send(messages[at]);
        else { socket.close(); done([right, messages.length]); }
    };
})"""
_LOADED = """(async () => {
    for (const image of document.images) { image.loading = "eager"; await image.decode(); }
    return [...document.images].every((image) => image.naturalWidth > 0);
})()"""


@asynccontextmanager
async def _opened(stand: Stand, protocol: str) -> AsyncIterator[Page]:
    """A browser that trusts this stand's certificate alone."""
    flags = [trusting(stand.certificate)]
    if protocol == "h3":
        flags.append(f"--origin-to-force-quic-on=127.0.0.1:{stand.secure_port}")
    async with browser_page(flags=flags, quic=protocol == "h3") as page:
        yield page


async def ask(stand: Stand, protocol: str, cases: Sequence[Case]) -> list[Answer]:
    """By fetch, from a page of the site."""
    origin = stand.origin(protocol).replace("localhost", "127.0.0.1")
    told: list[tuple[int, dict[str, str], str]] = []
    async with _opened(stand, protocol) as page:
        await page.open(f"{origin}/robots.txt")
        for group in in_turn(cases):
            told += await page.run(_FETCH % json.dumps([_listed(case) for case in group]))
        spoken = {url: _VERSIONS.get(each["protocol"], each["protocol"]) for url, each in page.responses.items()}
    return [
        Answer(spoken.get(origin + case.path, ""), status, fields, base64.b64decode(body))
        for case, (status, fields, body) in zip(cases, told, strict=True)
    ]


def _listed(case: Case) -> dict[str, Any]:
    fields = {name: value for name, value in case.fields.items() if name != "accept-encoding"}  # the browser's own
    return {"path": case.path, "method": case.method, "fields": fields, "sent": base64.b64encode(case.sent).decode()}


async def pages(stand: Stand, protocol: str) -> tuple[int, int]:
    """How many of the site's pages show all their pictures, and nothing in the console."""
    origin, right = stand.origin(protocol).replace("localhost", "127.0.0.1"), 0
    async with _opened(stand, protocol) as page:
        for path in PAGES:
            before = len(page.complaints)
            await page.open(origin + path)
            shown = await page.run(_LOADED)
            spoken = {each["protocol"] for url, each in page.responses.items() if url.startswith(origin)}
            right += shown and len(page.complaints) == before and {_VERSIONS.get(each) for each in spoken} == {protocol}
    return right, len(PAGES)


async def echo(stand: Stand, protocol: str) -> tuple[int, int]:
    """Not in HTTP/3, in which Chromium opens no WebSockets."""
    if protocol == "h3":
        return 0, 0
    origin = stand.origin(protocol).replace("localhost", "127.0.0.1")
    async with _opened(stand, protocol) as page:
        await page.open(f"{origin}/robots.txt")
        passed, tried = await page.run(f"const origin = {json.dumps(origin)}; {_ECHO}")
    return passed, tried


CLIENTS = (
    Client(
        "Chromium",
        ("h1", "h2", "h3"),
        ask,
        unpacks=True,
        specials={"pages": pages, "WebSocket": echo},
        missing=lambda: "" if chromium() else "chromium is not installed",
    ),
)
