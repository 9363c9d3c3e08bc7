"""Crawlers verified by a running proxy: ranges from a server and a file, names from the system's resolver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import RawClient
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.servers import wait_until
from tests.support.site import Site, config, request

TOLD = {"x-bot": "{bot}", "x-agent": "{bot.agent}"}


def ranges(*prefixes: str) -> bytes:
    return json.dumps({"prefixes": [{"ipv4Prefix": prefix} for prefix in prefixes]}).encode()


class Edge:
    """The proxy, asked by crawlers, and what the origin then hears of them."""

    def __init__(self, site: Site, edge: EdgeProcess) -> None:
        self.site = site
        self.edge = edge
        self._number = 0

    def ask(self, agent: str, source: str = "127.0.0.1") -> tuple[bytes | None, bytes | None]:
        """What it is taken for, and the name it was verified as."""
        self._number += 1
        target = b"/%d" % self._number
        with RawClient(self.edge.address, source=source) as client:
            client.send(request(target, b"User-Agent: " + agent.encode()))
            assert client.answers(1).statuses == [200]
        (seen,) = self.site.to(target)
        return seen.get(b"x-bot"), seen.get(b"x-agent")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    file: Path = tmp_path_factory.mktemp("ranges") / "ranges.json"
    file.write_bytes(ranges("127.0.0.3/32"))
    with Site() as site, Site() as operator:
        published = operator.on(b"/ranges.json", answer(200, ranges("127.0.0.2/32"), b"Content-Type: application/json"))
        operator.on(b"/gone.json", answer(404, b"gone"))
        crawlers = {
            "googlebot": {"domains": [], "urls": [operator.url + published.decode()]},
            "bingbot": {"domains": [], "files": [str(file)]},
            "applebot": {"domains": [], "urls": [operator.url + "/gone.json"]},
            "yandexbot": {"domains": ["localhost"], "urls": []},
        }
        stages = {
            "bot_check": {"verify": ["ranges", "dns"], "crawlers": crawlers},
            "headers": {"request": {"set": TOLD}},
        }
        with EdgeProcess(config(site.url, middleware=stages)) as process:
            one = Edge(site, process)
            wait_until(lambda: one.ask("Googlebot/2.1", "127.0.0.2")[1] == b"googlebot", "ranges are read")
            yield one


@pytest.mark.parametrize(
    ("agent", "source"),
    [("Googlebot/2.1", "127.0.0.2"), ("Googlebot-Image/1.0", "127.0.0.2"), ("bingbot/2.0", "127.0.0.3")],
)
def test_who_comes_from_its_operators_ranges_is_verified(edge: Edge, agent: str, source: str) -> None:
    assert edge.ask(agent, source) == (b"crawler", agent.lower().partition("/")[0].encode())


@pytest.mark.parametrize(("agent", "source"), [("Googlebot/2.1", "127.0.0.3"), ("bingbot/2.0", "127.0.0.2")])
def test_who_comes_from_elsewhere_is_exposed(edge: Edge, agent: str, source: str) -> None:
    assert edge.ask(agent, source) == (b"suspect", b"")


def test_whose_ranges_cannot_be_had_is_taken_at_its_word(edge: Edge) -> None:
    assert edge.ask("Applebot/0.1", "127.0.0.2") == (b"crawler", b"")


def test_who_has_a_name_of_its_operators_is_verified_in_the_background(edge: Edge) -> None:
    assert edge.ask("YandexBot/3.0") == (b"crawler", b"")
    wait_until(lambda: edge.ask("YandexBot/3.0")[1] == b"yandexbot", "DNS has answered")
    assert 'edgeproxy_crawler_checks_total{outcome="verified"} 1' in edge.edge.admin("/metrics")[1].decode()


def test_nothing_of_this_is_an_error_in_the_log(edge: Edge) -> None:
    wait_until(lambda: "it answered 404; nothing there yet" in edge.edge.logs(), "the list that is missing is told of")
    assert "Traceback" not in edge.edge.logs()
