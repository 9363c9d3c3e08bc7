"""``edgeproxy warm``: fill a running node's cache before its visitors do."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from edgeproxy.warm.sources import Source
    from edgeproxy.warm.state import State
    from edgeproxy.warm.walk import Outcome, Walk

VERDICTS = ("hit", "stored", "passed", "no cache")
SHOWN = 10  # failures that are told one by one
MOST_SITEMAPS = 1_000


@click.command(
    epilog="""\b
Examples:
  edgeproxy warm urls.txt
  edgeproxy warm http://www.example.com/sitemap.xml
  edgeproxy warm access.log.1.gz --limit 10000 --state warm.state
  edgeproxy warm sitemap.xml.gz --node http://10.0.0.7 --node https://10.0.0.7 --rate 50

\b
A source is a file, - for standard input, or a URL, which is asked of the node too; packed
with gzip or not. What it is shows by how it begins:
  a list        one URL a line, # begins a comment
  a sitemap     or an index of sitemaps, which are then asked for too
  an access log json or combined; what was asked for most often comes first

\b
All requests go to --node, whatever the URLs' hosts resolve to, with the URL's own Host.
A node that answers 429 or 503 with Retry-After is left alone for so long, a minute at most.

Exit status: 0 if every URL was answered below 500, 1 if not, 130 if interrupted."""
)
@click.argument("source", metavar="FILE|URL|-")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    default=("http://127.0.0.1:8080",),
    envvar="EDGEPROXY_NODE",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="Where the node listens; once for http and once for https.",
)
@click.option("--rate", default=10.0, show_default=True, type=click.FloatRange(0.01, 10_000), help="URLs a second.")
@click.option(
    "--concurrency", default=4, show_default=True, type=click.IntRange(1, 256), help="URLs asked for at a time."
)
@click.option("--limit", type=click.IntRange(1), default=None, metavar="N", help="Ask for the first N only.")
@click.option("--base", metavar="URL", help="Scheme and host for log lines that name none: https://www.example.com")
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="A header field, for variants; repeatable.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    metavar="FILE",
    help="Remember what is done; the same command then goes on where it was stopped. Removed at the end.",
)
@click.option("--insecure", is_flag=True, help="Take any certificate from the node.")
def warm(
    source: str,
    nodes: tuple[str, ...],
    rate: float,
    concurrency: int,
    limit: int | None,
    base: str | None,
    headers: tuple[str, ...],
    state: Path | None,
    insecure: bool,
) -> None:
    """Fill a running node's cache from a list of URLs, a sitemap or an access log."""
    import asyncio

    from edgeproxy.warm.state import State
    from edgeproxy.warm.walk import UnreachableError, Walk

    fields = dict(_field(header) for header in headers)
    walk = Walk(_nodes(nodes), rate=rate, concurrency=concurrency, fields=fields, verify=not insecure)
    try:
        found = _local(source, base)
        with State(state) as done:
            outcomes = asyncio.run(_warm(walk, found, limit, done))
    except KeyboardInterrupt:
        goes_on = f"; the same command goes on from {state}" if state else ""
        click.echo(f"stopped{goes_on}", err=True)
        raise SystemExit(130) from None
    except (UnreachableError, OSError, EOFError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    failed = [outcome for outcome in outcomes if not 0 < outcome.status < 500]
    if not failed:
        done.forget()
    click.echo("\n".join(summary(outcomes)))
    raise SystemExit(1 if failed else 0)


async def _warm(walk: Walk, source: Source, limit: int | None, state: State) -> list[Outcome]:
    outcomes: list[Outcome] = []
    async with walk:
        urls = (await _urls(walk, source))[:limit]
        left = [url for url in urls if url not in state.done]
        if len(left) < len(urls):
            click.echo(f"{len(urls) - len(left)} of {len(urls)} URLs were done before", err=True)
        with click.progressbar(length=len(left), label="warming", show_pos=True) as bar:

            def done(outcome: Outcome) -> None:
                outcomes.append(outcome)
                if 0 < outcome.status < 500:
                    state.add(outcome.url)
                bar.update(1)

            await walk.ask(left, done)
    return outcomes


def _local(source: str, base: str | None) -> Source:
    """What the command was given; a URL is asked for like a sitemap. Raises ValueError, OSError or EOFError."""
    from edgeproxy.warm import sources

    if source.startswith(("http://", "https://")):
        return sources.Source([], [sources.normalised(source)])
    if source == "-":
        return _read(io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer)), "standard input", base)
    with Path(source).open("rb") as file:
        found = _read(file, source, base)
    if found.skipped:
        click.echo(f"{found.skipped} lines name nothing to ask for", err=True)
    return found


async def _urls(walk: Walk, source: Source) -> list[str]:
    """All URLs of a source, those of its sitemaps too, and of theirs. Raises ValueError."""
    from edgeproxy.warm.sitemap import LARGEST

    urls = dict.fromkeys(source.urls)
    left = list(source.sitemaps)
    asked: set[str] = set()
    while left:
        sitemap = left.pop(0)
        if sitemap in asked:
            continue
        asked.add(sitemap)
        if len(asked) > MOST_SITEMAPS:
            raise ValueError(f"more than {MOST_SITEMAPS} sitemaps")
        outcome, body = await walk.get(sitemap, LARGEST + 1)
        if outcome.status != 200:
            raise ValueError(f"{sitemap}: {outcome.error or f'status {outcome.status}'}")
        found = _read(io.BufferedReader(io.BytesIO(body)), sitemap, None)
        urls.update(dict.fromkeys(found.urls))
        left += found.sitemaps
    return list(urls)


def _read(stream: io.BufferedReader, name: str, base: str | None) -> Source:
    from edgeproxy.warm.sources import read

    try:
        return read(stream, base)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def summary(outcomes: list[Outcome]) -> Iterator[str]:
    """A table of statuses and what the cache did, and the first failures."""
    yield f"{len(outcomes)} URLs, {sum(outcome.size for outcome in outcomes) / 1e6:.1f} MB"
    counts = Counter((outcome.status, outcome.verdict) for outcome in outcomes if outcome.status)
    used = [verdict for verdict in VERDICTS if any(verdict == told for _, told in counts)]
    if counts:
        yield f"{'status':<8}" + "".join(f"{verdict:>10}" for verdict in used)
    for status in sorted({status for status, _ in counts}):
        yield f"{status:<8}" + "".join(f"{counts[status, verdict]:>10}" for verdict in used)
    failed = [outcome for outcome in outcomes if not outcome.status]
    if failed:
        yield f"no answer{len(failed):>9}"
    yield from (f"  {outcome.url}: {outcome.error}" for outcome in failed[:SHOWN])


def _nodes(urls: tuple[str, ...]) -> Mapping[str, str]:
    from urllib.parse import urlsplit

    nodes: dict[str, str] = {}
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            raise click.BadParameter(f"{url!r} is no address like http://127.0.0.1:8080", param_hint="--node")
        if nodes.setdefault(parts.scheme, parts.netloc) != parts.netloc:
            raise click.BadParameter(f"two addresses for {parts.scheme}", param_hint="--node")
    return nodes


def _field(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon or not name.strip() or not header.isprintable():
        raise click.BadParameter(f"{header!r} is not a header field; write it like 'name: value'", param_hint="-H")
    return name.strip(), value.strip()
