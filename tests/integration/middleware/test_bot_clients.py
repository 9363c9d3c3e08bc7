"""Real clients and the scores they get: browsers below programs, whatever the programs say.

EDGEPROXY_UPDATE_GOLDEN=1 writes the table of docs/bots.md anew.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.browser import chromium
from tests.support.certificates import Authority
from tests.support.firefox import Firefox, firefox
from tests.support.origin import RecordedRequest, answer
from tests.support.processes import EdgeProcess
from tests.support.servers import free_port, wait_until
from tests.support.site import Site, config

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs/bots.md"
TABLE = re.compile(r"(?<=<!-- scores -->\n).*?(?=<!-- /scores -->)", re.DOTALL)

TOLD = {
    f"x-{name}": f"{{{value}}}" for name, value in {"bot": "bot", "score": "bot.score", "ja4": "client.ja4"}.items()
}
FIELDS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",
    "Accept-Language": "en-GB,en;q=0.9",
}

URLLIB = """
import ssl, sys, urllib.request
context = ssl._create_unverified_context()
headers = dict(a.split(": ", 1) for a in sys.argv[2:])
urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers), context=context).read()
"""
REQUESTS = """
import sys, warnings
from pip._vendor import requests
warnings.simplefilter("ignore")
requests.get(sys.argv[1], headers=dict(a.split(": ", 1) for a in sys.argv[2:]), verify=False, timeout=10)
"""
AIOHTTP = """
import aiohttp, asyncio, sys
async def main():
    async with aiohttp.ClientSession(headers=dict(a.split(": ", 1) for a in sys.argv[2:])) as session:
        async with session.get(sys.argv[1], ssl=False) as answer:
            await answer.read()
asyncio.run(main())
"""
NODE = """
process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
const headers = Object.fromEntries(process.argv.slice(2).map((line) => line.split(/: (.*)/s, 2)));
await (await fetch(process.argv[1], { headers })).text();
"""
PROGRAMS: dict[str, list[str]] = {
    "curl": ["curl", "-sk", "{url}", "-H"],
    "wget": ["wget", "-qO-", "--no-check-certificate", "{url}", "--header"],
    "Python urllib": [sys.executable, "-c", URLLIB, "{url}", ""],
    "Python requests": [sys.executable, "-c", REQUESTS, "{url}", ""],
    "Python aiohttp": [sys.executable, "-c", AIOHTTP, "{url}", ""],
    "Node fetch": ["node", "--no-warnings", "--input-type=module", "-e", NODE, "{url}", ""],
}  # the last word stands before each field, "" for nothing
BROWSER = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"),
    *("--disable-component-update", "--no-first-run", "--ignore-certificate-errors", "--dump-dom"),
]


PERSON, HEADLESS, OWN = "as on a desktop", "its own, headless", "its own"
BORROWED, DRESSED, IMITATED = "Chromium's", "Chromium's, with Accept-*", "all that Chromium says"

# Whatever pages load: each answer is that of its own path.
PAGE_THAT_LOADS = b"""<!doctype html><link rel=stylesheet href=/a.css><script src=/a.js></script>
<script type=module src=/m.js></script><link rel=preload as=font href=/f.woff2 crossorigin>
<style>body{background:url(/b.png)}</style><img src=/a.png><video src=/v.mp4></video><iframe src=/frame></iframe>
<script>
fetch('/fetch'); fetch('/json', {method: 'POST', body: '{}', headers: {'content-type': 'application/json'}});
fetch('/range', {headers: {range: 'bytes=0-1', 'if-none-match': '"x"'}});
const x = new XMLHttpRequest(); x.open('GET', '/xhr'); x.setRequestHeader('X-Requested-With', 'x'); x.send();
navigator.sendBeacon('/beacon', 'x'); new EventSource('/events'); new Worker('/worker.js');
new WebSocket('wss://' + location.host + '/socket');
setTimeout(() => { const f = document.createElement('form'); f.method = 'post'; f.action = '/form';
  document.body.append(f); f.submit(); }, 1000);
</script>"""
LOADED = "a.css a.js m.js f.woff2 b.png a.png v.mp4 frame fetch json range xhr beacon events worker.js socket form"


class Row(NamedTuple):
    """A client, what it says it is, and what the proxy made of its request."""

    client: str
    says: str
    bot: str
    score: int
    ja4: str


class Edge:
    """The proxy over TLS, with the settings of bot_check under test."""

    def __init__(self, folder: Path, origin: Site, stage: dict[str, Any]) -> None:
        self.origin = origin
        pair = Authority(folder).issue("localhost")
        tls = {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}], "fingerprint": True}
        self.port = free_port()
        self._folder = folder
        self._number = 0
        self.process = EdgeProcess(
            config(
                origin.url,
                listeners=[{"address": f"127.0.0.1:{self.port}", "tls": tls}],
                middleware={"bot_check": {"score": True} | stage, "headers": {"request": {"set": TOLD}}},
            )
        )

    def program(self, name: str, says: str, fields: dict[str, str]) -> Row:
        url = self._next()
        *command, before = PROGRAMS[name]
        lines = [word for field, value in fields.items() for word in (before, f"{field}: {value}") if word]
        self.run([*(url if word == "{url}" else word for word in command), *lines])
        return self._row(name, says)

    def firefox(self) -> Row:
        url = self._next()
        with Firefox(self._folder / f"firefox{self._number}") as browser:
            browser.open(url)
        return self._row("Firefox", PERSON)

    def chromium(self, says: str, agent: str = "") -> Row:
        self.run([*self.chromium_command(agent), self._next()])
        return self._row("Chromium", says)

    def chromium_command(self, agent: str) -> list[str]:
        program = chromium()
        assert program is not None
        profile = f"--user-data-dir={self._folder / f'chromium{self._number}'}"
        return [program, *BROWSER, profile, *([f"--user-agent={agent}"] if agent else [])]

    def seen(self) -> RecordedRequest:
        """The last request of a client."""
        (seen,) = self.origin.to(b"/%d" % self._number)
        return seen

    def _next(self) -> str:
        self._number += 1
        return f"https://localhost:{self.port}/{self._number}"

    def run(self, command: list[str]) -> None:
        """Run a client to its end, which must be a good one."""
        done = subprocess.run(command, check=False, timeout=60, capture_output=True, cwd=self._folder)
        assert done.returncode == 0, done.stderr[-2000:]

    def _row(self, name: str, says: str) -> Row:
        told = {field: (self.seen().get(f"x-{field}".encode()) or b"").decode() for field in ("bot", "score", "ja4")}
        return Row(name, says, told["bot"], int(told["score"]), told["ja4"])


@contextlib.contextmanager
def serving(folder: Path, **stage: Any) -> Iterator[Edge]:
    folder.mkdir()
    with Site() as origin:
        edge = Edge(folder, origin, stage)
        with edge.process:
            yield edge


def measure(edge: Edge) -> list[Row]:
    """All clients there are, each as it comes and each with what it can easily be told to say."""
    headless = edge.chromium(HEADLESS)
    agent = desktop_agent(edge)
    rows = [edge.chromium(PERSON, agent)]
    whole = {
        name.decode(): value.decode()
        for name, value in edge.seen().fields
        if name.startswith((b"sec-", b"accept", b"user-", b"upgrade-"))
    }
    rows += [edge.firefox()] if firefox() is not None else []
    rows.append(headless)
    present = [name for name, command in PROGRAMS.items() if shutil.which(command[0])]
    rows += [edge.program(name, OWN, {}) for name in present]
    rows += [edge.program(name, BORROWED, {"User-Agent": agent}) for name in present]
    rows += [edge.program(name, DRESSED, {"User-Agent": agent} | FIELDS) for name in present]
    rows += [edge.program("curl", IMITATED, whole)] if "curl" in present else []
    return rows


def desktop_agent(edge: Edge) -> str:
    """What the headless Chromium that just came would call itself on a desktop."""
    return (edge.seen().get(b"user-agent") or b"").decode().replace("HeadlessChrome", "Chrome")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], list[Row]]:
    """What all clients get, and what they get where Chromium's hello is known."""
    if chromium() is None:
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("clients")
    with serving(folder / "any") as edge:
        anyone = measure(edge)
    hellos = [row.ja4 for row in anyone if row.says == PERSON]
    with serving(folder / "known", ja4={"browsers": hellos}) as edge:
        return anyone, measure(edge)


def of(rows: list[Row], says: str) -> dict[str, int]:
    return {row.client: row.score for row in rows if row.says == says}


def test_a_browser_scores_nothing(tables: tuple[list[Row], list[Row]]) -> None:
    for rows in tables:
        assert {(row.bot, row.score) for row in rows if row.says == PERSON} == {("browser", 0)}


def answer_page(request: RecordedRequest) -> bytes:
    html = request.target in {b"/page", b"/frame", b"/form"}
    body = PAGE_THAT_LOADS if request.target == b"/page" else b"x"
    return answer(200, body, b"Content-Type: text/" + (b"html" if html else b"javascript"), b"Cache-Control: no-store")


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_all_that_a_browser_loads_for_a_page_scores_nothing(tmp_path: Path, browser: str) -> None:
    if not (chromium() and (browser == "chromium" or firefox())):
        pytest.skip(f"{browser} is not installed")
    with serving(tmp_path / "page") as edge:
        targets = [b"/" + name.encode() for name in ["page", *LOADED.split()]]
        for target in targets:
            edge.origin.on(target, answer_page)
        url = f"https://localhost:{edge.port}/page"

        def loaded() -> bool:
            return all(edge.origin.to(target) for target in targets)

        if browser == "firefox":
            with Firefox(tmp_path / "firefox") as driven:
                driven.open(url)
                wait_until(loaded, "all is loaded", 30)
        else:
            edge.chromium(HEADLESS)
            command = [*edge.chromium_command(desktop_agent(edge)), "--virtual-time-budget=5000", url]
            edge.run(command)
            wait_until(loaded, "all is loaded", 30)
        asked = [one for target in targets for one in edge.origin.to(target)]
        assert [(one.target, one.get(b"x-score"), one.fields) for one in asked if one.get(b"x-score") != b"0"] == []


def test_who_says_what_it_is_scores_high(tables: tuple[list[Row], list[Row]]) -> None:
    for rows in tables:
        own = [row for row in rows if row.says in {OWN, HEADLESS}]
        assert {row.bot for row in own} == {"tool"}
        assert min(row.score for row in own) >= 50
        assert len(own) >= 4
        assert of(rows, HEADLESS)["Chromium"] <= min(of(rows, OWN).values())


@pytest.mark.parametrize("says", [BORROWED, DRESSED])
def test_a_borrowed_agent_does_not_make_a_browser(tables: tuple[list[Row], list[Row]], says: str) -> None:
    for rows in tables:
        assert min(of(rows, says).values()) >= 25


def test_the_more_a_program_says_like_a_browser_the_less_it_scores(tables: tuple[list[Row], list[Row]]) -> None:
    anyone, _ = tables
    fields = of(anyone, DRESSED)
    for client, score in of(anyone, BORROWED).items():
        assert of(anyone, OWN)[client] >= score >= fields[client]


def test_a_perfect_imitation_is_only_known_by_its_hello(tables: tuple[list[Row], list[Row]]) -> None:
    anyone, known = tables
    if not of(anyone, IMITATED):
        pytest.skip("curl is not installed")
    assert of(anyone, IMITATED) == {"curl": 0}
    assert of(known, IMITATED) == {"curl": 40}


def test_each_client_has_one_hello_and_no_two_the_same(tables: tuple[list[Row], list[Row]]) -> None:
    hellos: dict[str, set[str]] = {}
    for row in [row for rows in tables for row in rows]:
        hellos.setdefault(row.client, set()).add(row.ja4)
    assert {len(found) for found in hellos.values()} == {1}
    assert len({ja4 for found in hellos.values() for ja4 in found}) == len(hellos)


def test_the_page_shows_all_of_them(tables: tuple[list[Row], list[Row]]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    if "EDGEPROXY_UPDATE_GOLDEN" in os.environ:
        lines = ["| client | agent and fields | class | score | hello known |", "|---|---|---|---|---|"]
        for row, known in zip(*tables, strict=True):
            lines.append(f"| {row.client} | {row.says} | `{row.bot}` | {row.score} | {known.score} |")
        text = TABLE.sub("\n".join(lines) + "\n", text)
        PAGE.write_text(text, encoding="utf-8")
    told = TABLE.search(text)
    assert told is not None
    shown = {tuple(cell.strip() for cell in line.split("|")[1:3]) for line in told[0].splitlines()[2:]}
    assert {(row.client, row.says) for row in tables[0]} <= shown
