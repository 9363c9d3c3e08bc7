"""Floods on a node of several workers: one verdict, one call of the webhook, whoever dies."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import RawClient
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

SECRET = "Bearer c0ffee"


class Node:
    """The proxy with three workers, an origin that is also who the webhook tells."""

    def __init__(self, edge: EdgeProcess, site: Site) -> None:
        self.edge = edge
        self.site = site

    def state(self, scope: str = "node") -> int:
        line = f'edgeproxy_flood_state{{scope="{scope}"}} '
        text = self.edge.admin("/metrics")[1].decode()
        return next((int(float(one.removeprefix(line))) for one in text.splitlines() if one.startswith(line)), -1)

    def surge(self, state: int) -> None:
        """Ask as fast as it goes until the node is in this state."""

        def asked() -> bool:
            for number in range(4):
                with RawClient(self.edge.address, source=f"127.3.0.{number + 1}") as client:
                    client.send(request(b"/kept") * 50)
                    client.answers(50)
            return self.state() == state

        wait_until(asked, "the state is reached", 20)

    def told(self) -> list[dict[str, Any]]:
        """What the webhook was told of the node."""
        events = [json.loads(one.body) for one in self.site.to(b"/hook?site=1") if one.complete]
        return [event for event in events if event["scope"] == "node"]


@pytest.fixture
def node() -> Iterator[Node]:
    with Site() as site:
        site.on(b"/kept", answer(200, b"kept", b"Cache-Control: max-age=600"))
        site.on(b"/hook?site=1", answer(204, b""))
        hook = {"url": f"{site.url}/hook?site=1", "secret": SECRET}
        flood = {"floor": "40/s", "warm_up": "1s", "calm": "1s", "webhook": hook}
        with EdgeProcess(config(site.url, workers=3, node="pop-1", middleware={"flood": flood})) as edge:
            node = Node(edge, site)
            wait_until(lambda: node.state() == 0, "the node watches")
            yield node


def test_every_change_is_told_once_and_it_is_over_by_itself(node: Node) -> None:
    node.surge(2)
    assert node.state("route:all") == 2
    wait_until(lambda: node.state() == 0, "it is over", 20)
    wait_until(lambda: len(node.told()) >= 3 and node.told()[-1]["state"] == "normal", "the webhook is told")
    states = [(event["before"], event["state"]) for event in node.told()]
    assert len(states) == len(set(states)), "told by more than one worker"
    assert states[-1] == ("elevated", "normal")
    posted = node.site.to(b"/hook?site=1")[0]
    assert (posted.method, posted.get(b"authorization")) == (b"POST", SECRET.encode())
    assert posted.get(b"content-type") == b"application/json"
    assert node.edge.logs().count("flood: node: attack -> elevated: ") == 1
    assert "c0ffee" not in node.edge.logs()


@pytest.mark.slow
def test_the_worker_that_judges_may_die_at_any_time(node: Node) -> None:
    node.surge(2)
    judge = next(line for line in node.edge.logs().splitlines() if "flood: node: " in line and "-> attack" in line)
    os.kill(int(judge.partition("worker[")[2].partition("]")[0]), signal.SIGKILL)
    node.surge(2)
    assert node.edge.logs().count("-> attack: ") <= 4, "it is one attack, of the node and of a route"
    wait_until(lambda: node.state() == 0, "it is over", 30)
    assert "Traceback" not in node.edge.logs()


@pytest.mark.slow
def test_a_reload_keeps_what_was_learned(node: Node) -> None:
    node.surge(2)
    settings = node.edge.file.read_text()
    node.edge.file.write_text(settings.replace("calm: 1s", "calm: 1s\n    retry_after: 5s"))
    node.edge.reload()
    node.surge(2)
    assert node.edge.logs().count("flood: node: normal -> ") == 1
    wait_until(lambda: node.state() == 0, "it is over", 30)
    assert "Traceback" not in node.edge.logs()
