"""Heads to train on: agents known from lists put into the heads of clients that were really seen.

An agent alone is known from many more clients than could be started here, so heads are put together: a browser's agent
in the fields of a browser with its engine, with client hints and languages to match; a crawler's in those of a library;
and, as liars do it, a browser's agent in those of a library. What is put together so is synthetic, and cards say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edgeproxy.http.message import Request
from edgeproxy.training.sources import Package, unpacked

CRAWLERS: Final = Package(
    "npm", "crawler-user-agents", "1.60.0", "355ff319e17919f1738122752c8036d605d0e1bcba81de31e84377d12b286d79"
)
VISITORS: Final = Package(
    "npm", "user-agents", "2.1.198", "581c4f5074669b6f125263b8ddf302d221a26a06842488c6cc8d50dc5c5c0851"
)
PAGES: Final = 0.4  # of browsers' requests: what they load beside them is alike
BROWSERS: Final = ("chromium", "firefox")  # that were captured

_NUMBERS: Final = re.compile(r"[0-9]+")
_CHROME: Final = re.compile(r" (?:Headless)?Chrome/([0-9]+)")
_FIREFOX: Final = re.compile(r" Firefox/([0-9]+)")
_SAFARI: Final = re.compile(r" Version/([0-9]+)[0-9.]* .*Safari/")

# Since which version each engine sends fields that begin so: https://developer.mozilla.org/docs/Web/HTTP/Headers
_SINCE: Final = {
    "chromium": {"sec-ch-ua": 89, "sec-ch-ua-platform": 93, "priority": 124, "sec-fetch": 76},
    "gecko": {"sec-fetch": 90, "priority": 128},
    "webkit": {"sec-fetch": 16, "priority": 18},
}
_ZSTD: Final = {"chromium": 123, "gecko": 126, "webkit": 26}
_LANGUAGES: Final = (
    *("en-US,en;q=0.9", "en-US,en;q=0.5", "en-GB,en;q=0.9,en-US;q=0.8", "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "en-US"),
    *("fr-FR,fr;q=0.9", "es-ES,es;q=0.9", "pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7", "ja", "zh-CN,zh;q=0.9", "en-AU"),
    *("nl,en-US;q=0.7,en;q=0.3", "pl", "ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "it-IT,it;q=0.8", "fr-CA,en-CA;q=0.9"),
)
_BRANDS: Final = ("Google Chrome", "Google Chrome", "Google Chrome", "Microsoft Edge", "Brave", "Opera", "")
_GREASE: Final = ("Not_A Brand", "Not)A;Brand", "Not/A)Brand", "Not A(Brand", "Not.A/Brand", "Not:A-Brand")
_PAGE: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
# What privacy tools and proxies take out, and what they and apps put in.
_STRIPPED: Final = (
    "accept-language",
    "accept-encoding",
    "sec-ch-ua",
    "sec-fetch",
    "referer",
    "upgrade-insecure-requests",
)
_ADDED: Final = (
    *(("dnt", "1"), ("sec-gpc", "1"), ("save-data", "on"), ("x-requested-with", "com.example.app")),
    *(("x-forwarded-for", "192.0.2.1"), ("via", "1.1 proxy"), ("cache-control", "max-age=0"), ("cookie", "a=b")),
)

# What programs carry along, and how many of them.
_CARRIED: Final = (("cookie", "a=b", 0.2), ("referer", "SITE/", 0.15), ("x-forwarded-for", "192.0.2.1", 0.05))

Fields = list[tuple[str, str]]


class Agent(NamedTuple):
    """What a client says it is, what others are like it, and of which kind it is."""

    text: str
    family: str
    kind: str


class Head(NamedTuple):
    """A captured head: of which library or engine, how that was set, ``browser``, ``tool`` or ``liar``."""

    name: str
    setting: str
    kind: str
    scheme: str
    version: str
    method: str
    fields: Fields

    @property
    def is_page(self) -> bool:
        """Whether a browser went somewhere, rather than load what belongs to a page."""
        return "text/html" in dict(self.fields).get("accept", "")

    @property
    def agent(self) -> str:
        return dict(self.fields).get("user-agent", "")


def crawlers() -> list[Agent]:
    """Crawlers and tools, a family each pattern of crawler-user-agents."""
    told = json.loads((unpacked(CRAWLERS) / "package/crawler-user-agents.json").read_text(encoding="utf-8"))
    return [
        Agent(text, each["pattern"], "crawler") for each in told for text in each["instances"] if text.isprintable()
    ]


def visitors() -> list[Agent]:
    """Browsers as they visit sites today: a family is all that differ by numbers alone."""
    told = json.loads((unpacked(VISITORS) / "package/dist/user-agents.json").read_text(encoding="utf-8"))
    return [Agent(text, _NUMBERS.sub("0", text), "browser") for text in sorted({each["userAgent"] for each in told})]


def browsers(file: Path) -> list[Agent]:
    """Browsers and apps, also rare and old ones: lines of family, tab, agent."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [Agent(text, family, "rare browser") for family, _, text in (line.partition("\t") for line in lines)]


def captured(file: Path) -> list[Head]:
    """What scripts/capture-heads has written."""
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for each in told:
        each["fields"] = [(name, value) for name, value in each["fields"]]
    return [Head(**{name: each[name] for name in Head._fields}) for each in told]


def engine(agent: str) -> tuple[str, int]:
    """Which engine a browser's agent claims, ``chromium``, ``gecko``, ``webkit`` or "", and its version."""
    for name, pattern in (("chromium", _CHROME), ("gecko", _FIREFOX), ("webkit", _SAFARI)):
        if found := pattern.search(agent):
            return name, int(found[1])
    return "", 0


def browsing(agent: str, heads: Sequence[Head], rng: np.random.Generator, headless: bool = False) -> Request:
    """A browser's agent in fields that browser could have sent. Of engines nobody captured, the fields are those of
    another in any order. ``headless``: its hints say so."""
    name, version = engine(agent)
    client = "chromium" if name == "chromium" else "firefox"
    pages = rng.random() < PAGES
    chosen = [head for head in heads if head.name == client and head.is_page == pages]
    head = chosen[rng.integers(len(chosen))]
    fields = dict(head.fields)
    fields["user-agent"] = agent
    if name in {"webkit", ""}:
        fields = _uncaptured(name, fields, rng)
    for beginning, since in _SINCE.get(name, {"sec-": 1, "priority": 1}).items():
        if version < since:
            fields = {each: value for each, value in fields.items() if not each.startswith(beginning)}
    if "accept-language" in fields:
        fields["accept-language"] = str(rng.choice(_LANGUAGES))
    if version < _ZSTD.get(name, 1000) and "accept-encoding" in fields:
        fields["accept-encoding"] = fields["accept-encoding"].replace(", zstd", "")
    if "sec-ch-ua" in fields:
        fields |= _hints(agent, version, rng, headless)
    return _request(head, _disturbed(fields, rng))


def asking(agent: str, head: Head, rng: np.random.Generator) -> Request:
    """An agent in a library's fields."""
    fields = dict(head.fields)
    if agent or "user-agent" in fields:
        fields["user-agent"] = agent
    for name, value, share in _CARRIED:
        if rng.random() < share:
            fields.setdefault(name, value)
    return _request(head, fields)


def as_it_was(head: Head) -> Request:
    """A captured head with nothing changed."""
    return _request(head, dict(head.fields))


def _uncaptured(name: str, fields: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    fields.pop("te", None)
    if name == "" and rng.random() < 0.3:  # apps and old browsers that name no language
        fields.pop("accept-language", None)
    if "text/html" in fields.get("accept", ""):
        fields["accept"] = _PAGE
    if "accept-encoding" in fields and name == "":
        fields["accept-encoding"] = str(rng.choice(["gzip, deflate", "gzip", "gzip, deflate, br"]))
    names = list(fields)
    return {names[place]: fields[names[place]] for place in rng.permutation(len(names))}


def _hints(agent: str, version: int, rng: np.random.Generator, headless: bool) -> dict[str, str]:
    """Client hints (https://wicg.github.io/ua-client-hints/) as a browser with this agent sends them."""
    brand = "HeadlessChrome" if headless else str(rng.choice(_BRANDS))
    brand = "Microsoft Edge" if "Edg/" in agent else "Opera" if "OPR/" in agent else brand
    brands = [("Chromium", version), (str(rng.choice(_GREASE)), int(rng.choice([8, 24, 99])))]
    brands += [(brand, version)] if brand else []
    told = ", ".join(f'"{brands[place][0]}";v="{brands[place][1]}"' for place in rng.permutation(len(brands)))
    systems = (("Android", "Android"), ("Windows", "Windows"), ("CrOS", "Chrome OS"), ("Mac OS X", "macOS"))
    system = next((told for text, told in systems if text in agent), "Linux")
    return {"sec-ch-ua": told, "sec-ch-ua-mobile": f"?{int('Mobile' in agent)}", "sec-ch-ua-platform": f'"{system}"'}


def _disturbed(fields: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    if rng.random() < 0.5:  # nobody has been here before
        fields = {name: value for name, value in fields.items() if name not in {"cookie", "referer"}}
    if rng.random() < 0.05:
        gone = str(rng.choice(_STRIPPED))
        fields = {name: value for name, value in fields.items() if not name.startswith(gone)}
    if rng.random() < 0.2:
        name, value = _ADDED[rng.integers(len(_ADDED))]
        fields[name] = value
    if rng.random() < 0.3:  # a proxy in front, or HTTP/2
        fields.pop("connection", None)
    return fields


def _request(head: Head, fields: dict[str, str]) -> Request:
    headers = {name.encode(): value.encode("utf-8", "replace") for name, value in fields.items()}
    return Request(head.method.encode(), b"/", headers, head.scheme.encode(), version=head.version.encode())
