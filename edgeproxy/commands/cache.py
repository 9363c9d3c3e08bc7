"""``edgeproxy cache``: what a running node's cache is doing."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from edgeproxy.commands.admin import admin_option, get, token_option

TIERS = {
    "l1": "L1 memory",
    "l2": "L2 disk",
    "l3": "L3 Redis",
    "stale": "stale",
    "collapsed": "collapsed",
    "origin": "origin",
}
WIDEST = 100
_COUNTS = ((1e9, "G"), (1e6, "M"), (1e4, "k"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_TIMES = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


@click.group(
    epilog="""\b
Examples:
  edgeproxy cache top
  edgeproxy cache top --once"""
)
def cache() -> None:
    """Look into a running node's cache."""


@cache.command(
    epilog="""\b
Examples:
  edgeproxy cache top
  edgeproxy cache top --once --limit 50
  edgeproxy cache top --json | jq .window.hit_ratio
  edgeproxy cache top --admin unix:/run/edgeproxy/admin.sock --every 5

\b
Rates are of the last seconds, the rest is of the last minutes, of all workers together.
A hit is an answer that cost the origin nothing; "collapsed" waited for another request's
fetch, "stale" is past its freshness. The reasons of misses are those of Cache-Status.
URLs are shown without what the access log masks."""
)
@click.option("--once", is_flag=True, help="Print once and leave, as when the output is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures once, as JSON.")
@click.option(
    "--every", default=2.0, show_default=True, type=click.FloatRange(0.5, 3600), help="Seconds between looks."
)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0, 50), help="URLs shown.")
@admin_option
@token_option
def top(once: bool, as_json: bool, every: float, limit: int, admin: str, token_file: Path | None) -> None:
    """Show the hit ratio by tier, type and route, why the rest missed, and the URLs asked for most."""
    stats = get(admin, "/stats", token_file)
    if as_json:
        click.echo(json.dumps(stats, indent=2, ensure_ascii=False))
        return
    if once or not sys.stdout.isatty():
        click.echo("\n".join(screen(stats, limit, WIDEST)))
        return
    try:
        while True:
            width, height = shutil.get_terminal_size()
            click.clear()
            click.echo("\n".join(screen(stats, limit, width)[: height - 1]))
            time.sleep(every)
            stats = get(admin, "/stats", token_file)
    except KeyboardInterrupt:
        pass  # that is how it is ended


def screen(stats: Mapping[str, Any], limit: int, width: int) -> list[str]:
    """The figures of ``/stats`` as lines of at most ``width`` characters."""
    now, window, health, latency = stats["now"], stats["window"], stats["health"], stats["now"]["latency"]
    workers = health["workers"]
    state = f"{health['status']}, {workers['ready']} of {workers['configured']} workers"
    rates = f"{_count(now['requests'])} requests/s   {_bytes(now['bytes'])}/s   hits {_percent(now['hit_ratio'])}"
    ratios = f"hits {_percent(window['hit_ratio'])}, of the bytes {_percent(window['byte_hit_ratio'])}"
    lines = [
        f"{state}   {rates}",
        "latency   " + "   ".join(f"{name} {_seconds(value)}" for name, value in latency.items()),
        "",
        f"last {_seconds(window['seconds'])}: {_count(window['requests'])} answers, {ratios}",
        "",
        *_tiers(window, stats["stored"]),
        "",
        *_beside(_parts("type", window["types"]), _parts("route", window["routes"])),
        "",
        *_beside(
            _table(("why no hit", "requests"), [(why, _count(number)) for why, number in _largest(window["misses"])]),
            _table(
                ("status", "answers"), [(status, _count(number)) for status, number in _largest(window["statuses"])]
            ),
        ),
        "",
        *_table(
            (f"top URLs, last {_seconds(stats['top']['seconds'])}", "requests", "hits", "sent"),
            [
                (one["url"], _count(one["requests"]), _percent(one["hits"] / one["requests"]), _bytes(one["bytes"]))
                for one in stats["top"]["urls"][:limit]
            ],
            width,
        ),
    ]
    return [line[:width] for line in lines]


def _tiers(window: Mapping[str, Any], stored: Mapping[str, Mapping[str, float]]) -> list[str]:
    tiers, all_of = window["tiers"], sum(part["requests"] for part in window["tiers"].values())
    rows = []
    for tier, words in TIERS.items():
        if tier not in tiers and tier not in stored:
            continue
        part = tiers.get(tier, {"requests": 0, "bytes": 0})
        held, gone = stored.get(tier, {}), window["evictions"].get(tier)
        rows.append(
            (
                words,
                _count(part["requests"]),
                _percent(part["requests"] / all_of if all_of else None),
                _bytes(part["bytes"]),
                _bytes(held["bytes"]) if "bytes" in held else "",
                f"{_count(gone['number'])}, median age {_seconds(gone['median_age'])}" if gone else "",
            )
        )
    return _table(("tier", "answers", "share", "sent", "holds", "evicted"), rows)


def _parts(name: str, parts: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = [
        (part, _count(of["requests"]), _percent(of["hits"] / of["requests"]))
        for part, of in sorted(parts.items(), key=lambda item: -item[1]["requests"])
    ]
    return _table((name, "answers", "hits"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDEST) -> list[str]:
    """The first column to the left and as wide as there is room for, the others to the right of it."""
    whole = [head, *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    widths[0] = max(12, min(max(widths[0], 20), width - sum(widths[1:]) - 2 * (len(head) - 1)))
    return [
        "  ".join((_cut(row[0], widths[0]).ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))).rstrip()
        for row in whole
    ]


def _beside(left: Sequence[str], right: Sequence[str]) -> list[str]:
    width = max(map(len, left)) + 6
    return [one.ljust(width) + other for one, other in zip_longest(left, right, fillvalue="")]


def _cut(text: str, width: int) -> str:
    """A long text without its middle: a URL is known by how it begins and ends."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _largest(numbers: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(numbers.items(), key=lambda item: -item[1])


def _scaled(value: float, units: Iterable[tuple[float, str]], plain: str) -> str:
    for size, name in units:
        if value >= size:
            return f"{value / (1e3 if name == 'k' else size):.1f} {name}"
    return f"{value:.0f}{plain}" if value >= 10 or value == int(value) else f"{value:.1f}{plain}"


def _count(value: float) -> str:
    return _scaled(value, _COUNTS, "")


def _bytes(value: float) -> str:
    return _scaled(round(value), _BYTES, " B")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.1f} ms" if value < 1 else _scaled(value, _TIMES, " s")
