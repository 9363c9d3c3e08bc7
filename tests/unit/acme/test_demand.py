from __future__ import annotations

from pathlib import Path

import pytest

from edgeproxy.acme.demand import REFUSED_FOR, Demand
from edgeproxy.acme.files import Files
from edgeproxy.clock import ManualClock
from edgeproxy.config.acme import OnDemandConfig

RULE = OnDemandConfig(allow=("*.shop.example",))
ASKING = OnDemandConfig(ask="https://rules.example/allowed")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path / "acme")
    files.prepare()
    return files


class Service:
    """What a URL says, and what it was asked."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.asked: list[str] = []

    def __call__(self, url: str, name: str) -> bool:
        self.asked.append(name)
        return name in self.allowed


def test_a_listed_name_may_have_one_and_another_is_forgotten(files: Files) -> None:
    for name in ("a.shop.example", "shop.example", "a.other.example"):
        files.store.want(name)
    assert Demand(RULE, files).allowed(()) == ["a.shop.example"]
    assert files.store.wanted() == ["a.shop.example"]


def test_without_a_rule_no_name_may(files: Files) -> None:
    files.store.want("a.shop.example")
    assert Demand(None, files).allowed(()) == []
    assert files.store.wanted() == []


def test_the_service_is_asked_and_what_it_refused_is_not_asked_again_for_an_hour(files: Files) -> None:
    clock, service = ManualClock(), Service("a.example")
    for _ in range(2):  # a run each
        for name in ("a.example", "b.example"):
            files.store.want(name)
        demand = Demand(ASKING, files, clock.wall)
        assert demand.allowed((), service) == ["a.example"]
    assert service.asked.count("b.example") == 1
    clock.advance(REFUSED_FOR + 1)
    files.store.want("b.example")
    Demand(ASKING, files, clock.wall).allowed((), service)
    assert service.asked.count("b.example") == 2


def test_there_are_no_more_than_the_most(files: Files) -> None:
    for name in ("a.shop.example", "b.shop.example"):
        files.store.want(name)
    few = RULE.model_copy(update={"most": 2})
    assert Demand(few, files).allowed(["x.shop.example"]) == ["a.shop.example"]


def test_a_known_name_is_wanted_no_more(files: Files) -> None:
    files.store.want("a.shop.example")
    assert Demand(RULE, files).allowed(["a.shop.example"]) == []
    assert files.store.wanted() == []


def test_a_new_name_is_wanted_until_its_order_was_tried(files: Files) -> None:
    files.store.want("a.shop.example")
    demand = Demand(RULE, files)
    assert demand.allowed(()) == demand.allowed(()) == ["a.shop.example"]
    demand.met("a.shop.example")
    assert demand.allowed(()) == []


def test_a_wildcard_is_never_ordered_on_demand(files: Files) -> None:
    files.store.want("*.shop.example")
    assert Demand(RULE, files).allowed(()) == []


def test_what_was_refused_is_remembered_up_to_a_number(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeproxy.acme.demand.MOST_REFUSED", 100)
    service = Service()
    for number in range(4):
        for at in range(50):
            files.store.want(f"n{number}-{at}.example")
        assert Demand(ASKING, files).allowed((), service) == []
    service.asked.clear()
    files.store.want("n0-0.example")  # the oldest is forgotten
    files.store.want("n3-0.example")
    Demand(ASKING, files).allowed((), service)
    assert service.asked == ["n0-0.example"]


def test_a_name_is_renewed_as_long_as_the_rule_allows_it(files: Files) -> None:
    assert Demand(RULE, files).still("a.shop.example")
    assert not Demand(RULE, files).still("a.other.example")
    assert not Demand(None, files).still("a.shop.example")
    assert Demand(ASKING, files).still("a.example", Service("a.example"))


def test_what_lies_there_and_is_no_list_is_none(files: Files) -> None:
    for content in (b"[]", b"\xff", b'{"a.example": "x"}', b'{"a.example": 1e300}'):
        files.store.put(files.folder / "refused.json", content)
        files.store.want("a.example")
        assert Demand(ASKING, files).allowed((), Service("a.example")) == ["a.example"]
