"""A running node that asks the model that ships about each request's head."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import ask
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

ROOT = Path(__file__).parents[3]
HEADS = ROOT / "models/bot-score/heads.jsonl"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
WEIGHT = 60


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    told = {"request": {"set": {"x-bot-score": "{bot.score}"}}}
    stages = {"bot_check": {"model": "bot-score", "model_weight": WEIGHT}, "headers": told}
    with EdgeProcess(config(site.url, workers=1, models={"only": ["bot-score"]}, middleware=stages)) as edge:
        yield edge
        assert "Traceback" not in edge.logs()


def head(name: str, setting: str) -> list[tuple[str, str]]:
    """The fields of the first request of a client that was captured, over http."""
    heads = [json.loads(line) for line in HEADS.read_text(encoding="utf-8").splitlines()]
    told = next(each for each in heads if (each["name"], each["setting"], each["scheme"]) == (name, setting, "http"))
    return [(name, AGENT if name == "user-agent" else value) for name, value in told["fields"] if name != "host"]


def score(edge: EdgeProcess, site: Site, target: bytes, fields: list[tuple[str, str]]) -> int:
    """What the origin is told."""
    lines = [f"{name}: {value}".encode() for name, value in fields if name != "connection"]
    assert ask(edge.address, request(target, *lines)).final[0].status == 200
    (seen,) = site.to(target)
    return int(dict(seen.fields)[b"x-bot-score"])


def test_a_browsers_agent_in_a_librarys_fields_scores_higher_than_the_browser(edge: EdgeProcess, site: Site) -> None:
    browser = score(edge, site, b"/browser", head("chromium", "plain"))
    liar = score(edge, site, b"/liar", head("requests", "many"))
    tool = score(edge, site, b"/tool", head("curl", "agent"))
    assert browser < 0.5 * WEIGHT < 0.7 * WEIGHT < min(liar, tool)
