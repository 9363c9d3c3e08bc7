"""Request heads as real browsers send them, all different, over URLs drawn by a Zipf law.

Made from a seed, written to a file, replayed by ``replay.lua``. A server that remembers raw heads wins nothing:
agents, cookies, referers and URLs differ, and neighbours on one connection belong to different visitors.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "www.shop.example"
SEPARATOR = b"\0"
ZIPF_EXPONENT = 0.9

# Values per agent; {v} is the version. Order and case of the fields are the browsers' own over HTTP/1.1.
_CHROME_IMAGE = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
_FIREFOX_IMAGE = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
_SAFARI_IMAGE = "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/*;q=0.5"


@dataclass(frozen=True, slots=True)
class Browser:
    """One browser on one platform. ``fields`` in the order sent; {braces} are filled for each head."""

    name: str
    versions: range
    agent: str
    fields: tuple[str, ...]


def _chromium(brand: str, platform: str, mobile: int) -> tuple[str, ...]:
    return (
        "Host: {host}",
        "Connection: keep-alive",
        f'sec-ch-ua-platform: "{platform}"',
        "User-Agent: {agent}",
        f'sec-ch-ua: "Chromium";v="{{v}}", "{brand}";v="{{v}}", "Not?A_Brand";v="99"',
        "{privacy}",
        f"sec-ch-ua-mobile: ?{mobile}",
        f"Accept: {_CHROME_IMAGE}",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-Dest: image",
        "Referer: https://{host}{referer}",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: {language}",
        "Cookie: {cookie}",
    )


def _firefox(privacy: str, *extra: str) -> tuple[str, ...]:
    return (
        "Host: {host}",
        "User-Agent: {agent}",
        f"Accept: {_FIREFOX_IMAGE}",
        "Accept-Language: {language}",
        "Accept-Encoding: gzip, deflate, br, zstd",
        privacy,
        "Connection: keep-alive",
        "Referer: https://{host}{referer}",
        "Cookie: {cookie}",
        "Sec-Fetch-Dest: image",
        "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-Site: same-origin",
        "Priority: u=5, i",
        *extra,
    )


_SAFARI = (
    "Host: {host}",
    "Connection: keep-alive",
    "Sec-Fetch-Dest: image",
    "User-Agent: {agent}",
    f"Accept: {_SAFARI_IMAGE}",
    "Sec-Fetch-Site: same-origin",
    "Referer: https://{host}{referer}",
    "Sec-Fetch-Mode: no-cors",
    "Accept-Language: {language}",
    "Priority: u=5, i",
    "Accept-Encoding: gzip, deflate, br",
    "Cookie: {cookie}",
    "DNT: 1",
)

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
BROWSERS: tuple[Browser, ...] = (
    Browser(
        "Chrome, Windows",
        range(128, 140),
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/{{v}}.0.0.0 Safari/537.36",
        _chromium("Google Chrome", "Windows", 0),
    ),
    Browser(
        "Chrome, macOS",
        range(128, 140),
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_WEBKIT} Chrome/{{v}}.0.0.0 Safari/537.36",
        _chromium("Google Chrome", "macOS", 0),
    ),
    Browser(
        "Chrome, Android",
        range(126, 140),
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/{{v}}.0.0.0 Mobile Safari/537.36",
        _chromium("Google Chrome", "Android", 1),
    ),
    Browser(
        "Edge, Windows",
        range(128, 140),
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/{{v}}.0.0.0 Safari/537.36 Edg/{{v}}.0.0.0",
        _chromium("Microsoft Edge", "Windows", 0),
    ),
    Browser(
        "Firefox, Windows",
        range(128, 144),
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0",
        _firefox("DNT: 1"),
    ),
    Browser(
        "Firefox, Linux",
        range(115, 144),
        "Mozilla/5.0 (X11; Linux x86_64; rv:{v}.0) Gecko/20100101 Firefox/{v}.0",
        _firefox("Sec-GPC: 1", "TE: trailers"),
    ),
    Browser(
        "Firefox, Android",
        range(130, 144),
        "Mozilla/5.0 (Android 14; Mobile; rv:{v}.0) Gecko/{v}.0 Firefox/{v}.0",
        _firefox("Sec-GPC: 1"),
    ),
    Browser(
        "Safari, macOS",
        range(16, 20),
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/{v}.1 Safari/605.1.15",
        _SAFARI,
    ),
    Browser(
        "Safari, iPhone",
        range(16, 20),
        "Mozilla/5.0 (iPhone; CPU iPhone OS {v}_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/{v}.1 Mobile/15E148 Safari/604.1",
        _SAFARI,
    ),
)
# Rough shares of the web's traffic, in the order of BROWSERS.
_SHARES = (26, 9, 27, 7, 4, 1, 1, 7, 18)
_LANGUAGES = (
    "en-US,en;q=0.9",
    "en-GB,en;q=0.9",
    "de-DE,de;q=0.9,en;q=0.7",
    "fr-FR,fr;q=0.9,en-US;q=0.6",
    "pt-BR,pt;q=0.9,en;q=0.5",
    "ja,en-US;q=0.8",
)
_WORDS = ("linen", "shirt", "walnut", "desk", "copper", "kettle", "wool", "scarf", "glass", "lamp", "oak", "bench")


def zipf_weights(count: int, exponent: float = ZIPF_EXPONENT) -> list[float]:
    """Cumulative weights of ranks 1 to ``count``: rank k is drawn in proportion to 1 / k^exponent."""
    return list(itertools.accumulate(1 / rank**exponent for rank in range(1, count + 1)))


def urls(prefix: str, count: int, seed: int = 1) -> list[str]:
    """``count`` different paths under ``prefix`` (``/1k/``)."""
    rng = random.Random(seed)
    return [
        f"{prefix}products/{number + 1000}/{'-'.join(rng.sample(_WORDS, 3))}/gallery-{rng.randrange(1, 9)}.webp"
        for number in range(count)
    ]


def heads(paths: Sequence[str], count: int, *, etag: str = "", seed: int = 2) -> list[bytes]:
    """``count`` different GET heads over ``paths`` (by rank). With ``etag`` each asks If-None-Match."""
    rng = random.Random(seed)
    weights = zipf_weights(len(paths))
    made: dict[bytes, None] = {}
    while len(made) < count:
        path = paths[bisect.bisect_left(weights, rng.random() * weights[-1])]
        made[_head(rng, path, etag)] = None
    return list(made)


def _head(rng: random.Random, path: str, etag: str) -> bytes:
    browser = rng.choices(BROWSERS, _SHARES)[0]
    version = rng.choice(browser.versions)
    values = {
        "host": HOST,
        "v": version,
        "agent": browser.agent.format(v=version),
        "language": rng.choice(_LANGUAGES),
        "referer": f"/{rng.choice(_WORDS)}/?page={rng.randrange(1, 40)}",
        "cookie": _cookie(rng),
        "privacy": "DNT: 1" if rng.random() < 0.3 else "",
    }
    lines = [line for field in browser.fields if (line := field.format_map(values))]
    if etag:
        lines.append(f"If-None-Match: {etag}")
    return "\r\n".join((f"GET {path} HTTP/1.1", *lines, "", "")).encode()


def _cookie(rng: random.Random) -> str:
    pairs = [f"session={rng.getrandbits(96):024x}"]
    if rng.random() < 0.4:
        pairs.append(f"_ga=GA1.1.{rng.randrange(10**8, 10**9)}.{rng.randrange(1_700_000_000, 1_760_000_000)}")
    if rng.random() < 0.4:
        pairs.append(f"consent={rng.choice(('all', 'needed', 'none'))}")
    if rng.random() < 0.3:
        pairs.append(f"cart={rng.getrandbits(48):x}")
    return "; ".join(pairs)


def write(path: Path, requests: Sequence[bytes]) -> None:
    """The file ``replay.lua`` reads: heads, each ended by a NUL (no head contains one)."""
    path.write_bytes(b"".join(head + SEPARATOR for head in requests))
