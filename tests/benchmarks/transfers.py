"""``python -m tests.benchmarks.transfers``: what visitors are sent, before and after; writes docs/transfer.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import yaml

from edgeproxy.demo.run import SECRET_VARIABLE
from tests.support.browser import browser_page
from tests.support.fetching import fetch, wire_session
from tests.support.ports import end_process, wait_until
from tests.support.processes import EdgeProcess, NginxServer

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_suffix(".md")
OUTPUT = ROOT / "docs" / "transfer.md"
COMMAND = "python -m tests.benchmarks.transfers"

TREE = Path("/usr/share/doc/python3-doc/html")
CHROMIUM_SAYS = "gzip, deflate, br, zstd"
AT_ONCE = 4
BETTER_WITHIN = 1800.0  # seconds for all better copies
DEMO_PAGES = ("/", "/stations/", "/photographs/", "/live/", "/sign-in/")
SHOW_ALL = """(async () => {
    for (const image of document.images) { image.loading = "eager"; await image.decode().catch(() => 0); }
})()"""

# What a Content-Type's essence is called in the tables; those that can be compressed first.
KINDS = {
    "text/html": "HTML",
    "text/css": "CSS",
    "text/javascript": "JavaScript",
    "application/javascript": "JavaScript",
    "image/svg+xml": "SVG",
    "application/json": "JSON",
    "text/xml": "XML and text",
    "text/plain": "XML and text",
    "application/xml": "XML and text",
    "image/jpeg": "pictures",
    "image/png": "pictures",
    "image/webp": "pictures",
    "image/avif": "pictures",
    "image/gif": "pictures",
}
OTHER = "other"
COMPRESSIBLE = ("HTML", "CSS", "JavaScript", "SVG", "JSON", "XML and text")
ORDER = (*COMPRESSIBLE, "pictures", OTHER)

Sizes = dict[str, int]
"""Bytes by URL."""


class Docs(NamedTuple):
    """Bytes of each file of the tree, by its path: as it is, and through the proxy; ``kinds`` by path."""

    kinds: dict[str, str]
    plain: Sizes
    first: Sizes
    better: Sizes
    small_first: Sizes
    small_better: Sizes


class Visit(NamedTuple):
    """Bytes of each thing a browser loaded, by its address below the site: of its body, and heads included; its kind;
    what the console said."""

    bodies: Sizes
    wire: Sizes
    kinds: dict[str, str]
    complaints: list[str]
    browser: str


def kind_of(content_type: str) -> str:
    return KINDS.get(content_type.partition(";")[0].strip().lower(), OTHER)


# The tree.


def tree_paths(every: int = 1) -> list[str]:
    """What a reader's browser asks for, as paths on the server: each ``every``-th page, and all it shows."""
    root = TREE.resolve()
    files = [f"/{quote(str(file.relative_to(root)))}" for file in sorted(root.rglob("*")) if file.is_file()]
    files = [path for path in files if not path.startswith(("/_sources/", "/_downloads/", "/."))]
    pages = [path for path in files if path.endswith(".html")]
    return [*pages[::every], *(path for path in files if not path.endswith((".html", ".inv", ".buildinfo", ".gz")))]


@contextmanager
def tree_server() -> Iterator[NginxServer]:
    """The tree as nginx serves it."""
    server = f"include /etc/nginx/mime.types; server {{ listen 127.0.0.1:{{port}}; root {TREE.resolve()}; }}"
    with NginxServer(server) as running:
        yield running


def docs_config(origin: str, *, minify: bool) -> dict[str, Any]:
    """The defaults, but for room in memory and a whole core for better copies."""
    return {
        "workers": 1,
        "cache": {"memory": "400MB", "improve": {"share": "100%", "size": "4MB"}},
        "middleware": {"rate_limit": False, "minify": minify},
        "pools": {"docs": {"endpoints": [origin]}},
        "routes": [{"name": "docs", "pool": "docs"}],
    }


async def measure_docs(every: int = 1) -> Docs:
    """Walk through the tree five times. Raises TimeoutError if the better copies are not made."""
    paths = tree_paths(every)
    with tree_server() as nginx:
        async with wire_session() as session:
            kinds, plain = await walk(session, nginx.url, paths, "identity")
        first, better = await through(nginx.url, paths, minify=False)
        small_first, small_better = await through(nginx.url, paths, minify=True)
    return Docs(kinds, plain, first, better, small_first, small_better)


async def through(origin: str, paths: Sequence[str], *, minify: bool) -> tuple[Sizes, Sizes]:
    """The first copies and the better ones."""
    with EdgeProcess(docs_config(origin, minify=minify)) as edge:
        async with wire_session() as session:
            _, first = await walk(session, edge.url, paths, CHROMIUM_SAYS)
            for _ in range(2):
                await walk(session, edge.url, paths, CHROMIUM_SAYS)
            await better_copies(edge)
            _, better = await walk(session, edge.url, paths, CHROMIUM_SAYS)
    return first, better


async def walk(
    session: aiohttp.ClientSession, base: str, paths: Sequence[str], accept: str
) -> tuple[dict[str, str], Sizes]:
    """Kinds and bytes of each path's answer."""
    gate = asyncio.Semaphore(AT_ONCE)
    kinds: dict[str, str] = {}
    sizes: Sizes = {}

    async def one(path: str) -> None:
        async with gate:
            got = await fetch(session, base + path, accept_encoding=accept)
        if got.status != 200:
            raise RuntimeError(f"{got.status} for {base}{path}")
        kinds[path] = kind_of(got.fields.get("content-type", ""))
        sizes[path] = len(got.body)

    await asyncio.gather(*map(one, paths))
    return kinds, sizes


async def better_copies(edge: EdgeProcess) -> None:
    """Wait until none is left to be made."""
    done = partial(_none_waits, edge)
    await asyncio.to_thread(wait_until, done, "the better copies are made", BETTER_WITHIN)


def _none_waits(edge: EdgeProcess) -> bool:
    time.sleep(0.5)  # to ask costs the node something
    lines = edge.admin("/metrics")[1].decode().splitlines()
    return not sum(float(line.split()[-1]) for line in lines if line.startswith("edgeproxy_improvements_waiting"))


# The demo site.


@asynccontextmanager
async def demo_sites(**middleware: Any) -> AsyncIterator[tuple[str, EdgeProcess]]:
    """The demo's own server, and the proxy before it as shipped, but for a whole core for better copies."""
    command = [sys.executable, "-m", "edgeproxy.demo", "--port", "0"]
    async with AsyncExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: ASYNC220
        )
        stack.callback(end_process, process)
        assert process.stdout is not None
        origin = process.stdout.readline().decode().rsplit(" ", 1)[1].strip().rstrip("/")
        config = yaml.safe_load((ROOT / "config" / "edgeproxy.yaml").read_text())
        config = {key: value for key, value in config.items() if key not in {"listeners", "admin"}}
        config["workers"] = 1
        config["cache"] = {**config.get("cache", {}), "improve": {"share": "100%", "hits": 1}}
        config["drain"] = {"grace": "0s"}
        config["middleware"] = {**config.get("middleware", {}), **middleware}
        secret = "only for these figures, 32 bytes and more"
        environment = {**os.environ, "EDGEPROXY_ORIGIN": origin, SECRET_VARIABLE: secret}
        yield origin, stack.enter_context(EdgeProcess(config, environment=environment))


async def visit(base: str) -> Visit:
    """All pages of the demo in a new browser."""
    async with browser_page() as page:
        await page.size(1280, 800)
        for path in DEMO_PAGES:
            await page.open(base + path)
            await page.run(SHOW_ALL)
        came = {url.removeprefix(base): sizes for url, sizes in page.transferred.items() if url.startswith(base)}
        came = {url: sizes for url, sizes in came.items() if not url.startswith("/api/")}  # asked for as time goes by
        bodies = {url: body for url, (body, _) in came.items()}
        wire = {url: size for url, (_, size) in came.items()}
        kinds = {url: kind_of(page.responses[base + url]["mimeType"]) for url in came}
        version = (await page.call("Browser.getVersion"))["product"]
        return Visit(bodies, wire, kinds, page.complaints, str(version).replace("Headless", "").replace("/", " "))


async def measure_demo() -> tuple[Visit, Visit, Visit]:
    """From its own server, through the proxy, and through it once the better copies are there."""
    async with demo_sites() as (origin, edge):
        before = await visit(origin)
        first = await visit(edge.url)
        for _ in range(2):
            await visit(edge.url)
        await better_copies(edge)
        return before, first, await visit(edge.url)


# The page.


def sums(sizes: Mapping[str, int], kinds: Mapping[str, str]) -> Counter[str]:
    """Bytes by kind. What ``kinds`` does not know is a variant of a picture, which has an address of its own."""
    total: Counter[str] = Counter()
    for url, size in sizes.items():
        total[kinds.get(url, "pictures")] += size
    return total


def table(kinds: Mapping[str, str], plain: Sizes, others: Mapping[str, Sizes]) -> str:
    """A line a kind, and one for all: bytes as they are, and in each other column what is left of them."""
    by_kind = [sums(sizes, kinds) for sizes in (plain, *others.values())]
    counts = Counter(kinds[url] for url in plain)
    lines = ["| | files | as it is | " + " | ".join(others) + " |", "|---|--:|--:|" + "--:|" * len(others)]
    present = [kind for kind in ORDER if counts[kind]]
    lines += [_line(kind, counts[kind], [column[kind] for column in by_kind]) for kind in present]
    if len(present) > 1:
        compressible = [kind for kind in present if kind in COMPRESSIBLE]
        if len(compressible) > 1:
            lines.append(_total("**all that compresses**", compressible, counts, by_kind))
        lines.append(_total("**all**", present, counts, by_kind))
    return "\n".join(lines)


def _total(name: str, kinds: Iterable[str], counts: Counter[str], by_kind: Sequence[Counter[str]]) -> str:
    kinds = list(kinds)
    return _line(name, sum(counts[kind] for kind in kinds), [sum(c[kind] for kind in kinds) for c in by_kind])


def _line(name: str, files: int, sizes: Sequence[int]) -> str:
    plain = sizes[0]
    cells = [f"{plain:,}", *(f"{size:,} ({size / plain - 1:+.1%})" for size in sizes[1:])]
    return f"| {name} | {files} | " + " | ".join(cells) + " |"


def report(docs: Docs, demo: tuple[Visit, Visit, Visit], every: int) -> str:
    """The page."""
    before, first, better = demo
    package = subprocess.run(
        ["/usr/bin/dpkg-query", "-W", "-f", "${Version}", "python3-doc"], capture_output=True, text=True, check=False
    )
    return _Page(PAGE.read_text(encoding="utf-8")).substitute(
        command=COMMAND,
        version=package.stdout or "version unknown",
        docs_files=len(docs.plain),
        sample="all but sources and downloads" if every == 1 else f"each {every}th page and all that pages load",
        docs=table(
            docs.kinds,
            docs.plain,
            {
                "first copy": docs.first,
                "better copy": docs.better,
                "minified, first": docs.small_first,
                "minified, better": docs.small_better,
            },
        ),
        pages=len(DEMO_PAGES),
        browser=before.browser,
        demo=table(before.kinds, before.bodies, {"first copy": first.bodies, "better copy": better.bodies}),
        wire=table(before.kinds, before.wire, {"first copy": first.wire, "better copy": better.wire}),
    )


class _Page(Template):
    delimiter = "@"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="each how many pages of the tree are taken (default 1)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the page to write (default docs/transfer.md)")
    options = parser.parse_args(arguments)
    if options.every < 1:
        parser.error("--every is at least 1")
    demo = asyncio.run(measure_demo())
    docs = asyncio.run(measure_docs(options.every))
    options.output.write_text(report(docs, demo, options.every), encoding="utf-8")
    print(f"written: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
