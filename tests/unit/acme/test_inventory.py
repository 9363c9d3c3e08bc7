from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edgeproxy.acme import state
from edgeproxy.acme.demand import Demand
from edgeproxy.acme.files import Files
from edgeproxy.acme.inventory import GIVEN_UP, LEFT_BEHIND, Inventory
from edgeproxy.acme.material import lifetime
from edgeproxy.acme.state import State
from edgeproxy.acme.storage import Storage
from edgeproxy.clock import ManualClock
from edgeproxy.config.acme import AcmeConfig
from tests.support.certificates import Authority

CONFIG = AcmeConfig(
    agree_to_terms=True, groups=(("a.example", "www.a.example"),), on_demand={"allow": ["*.shop.example"]}, spread=0
)
TOKEN = "DGyRejmCefe7v4NfDGDKfA"


class Place:
    """A folder, and certificates to be put there."""

    def __init__(self, folder: Path) -> None:
        self.files = Files(folder / "acme")
        self.files.prepare()
        (folder / "ca").mkdir()
        self._authority = Authority(folder / "ca")
        self.clock = ManualClock(time.time())

    def put(self, *names: str, under: tuple[str, ...] = ()) -> bytes:
        pair = self._authority.issue(*names)
        pem = pair.key.read_bytes() + pair.certificate.read_bytes()
        for name in under or names:
            self.files.write(f"certificates/{name}.pem", pem)
        return pem

    def inventory(self, *names: str) -> Inventory:
        return Inventory(CONFIG, names, Storage(self.files), self.clock)

    def demand(self) -> Demand:
        return Demand(CONFIG.on_demand, self.files, self.clock.wall)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_name_without_a_certificate_is_due(place: Place) -> None:
    (one,) = place.inventory("b.example").certificates(place.demand())
    assert (one.names, one.life, one.state.due) == (("b.example",), None, 0.0)


def test_a_certificate_is_due_by_its_own_dates(place: Place) -> None:
    life = lifetime(place.put("b.example"))
    (one,) = place.inventory("b.example").certificates(place.demand())
    assert one.state.due == pytest.approx(life.ends - (life.ends - life.begins) / 3)
    assert one.state.expires == life.ends
    assert state.decode(place.files.read("states/b.example.json")) == one.state


def test_a_group_has_one_certificate_that_lies_under_each_name(place: Place) -> None:
    place.put("a.example", "www.a.example")
    (one,) = place.inventory("www.a.example", "a.example").certificates(place.demand())
    assert one.names == ("a.example", "www.a.example")
    assert one.life is not None


def test_a_certificate_that_is_not_for_all_its_names_is_none(place: Place) -> None:
    place.put("a.example", under=("a.example", "www.a.example"))
    (one,) = place.inventory("a.example").certificates(place.demand())
    assert one.life is None


def test_what_cannot_be_read_is_none(place: Place) -> None:
    place.files.write("certificates/b.example.pem", b"-----BEGIN nothing")
    (one,) = place.inventory("b.example").certificates(place.demand())
    assert one.life is None


def test_failures_are_remembered_over_runs_and_forgotten_with_a_new_certificate(place: Place) -> None:
    place.files.write("states/b.example.json", state.encode(State(failures=3, retry=9.0, reason="refused")))
    (one,) = place.inventory("b.example").certificates(place.demand())
    assert (one.state.failures, one.state.retry, one.state.reason) == (3, 9.0, "refused")
    place.put("b.example")  # by hand
    (one,) = place.inventory("b.example").certificates(place.demand())
    assert one.state.failures == 0


def test_what_the_authority_suggested_counts(place: Place) -> None:
    life = lifetime(place.put("b.example"))
    place.files.write("states/b.example.json", state.encode(State(expires=life.ends, suggested=77.0, asked=5.0)))
    (one,) = place.inventory("b.example").certificates(place.demand())
    assert (one.state.due, one.state.asked) == (77.0, 5.0)


def test_a_name_asked_for_is_found_once_and_stays(place: Place) -> None:
    place.files.store.want("x.shop.example")
    place.files.store.want("b.example")
    found = place.inventory("b.example").certificates(place.demand())
    assert [(one.name, one.state.on_demand) for one in found] == [("b.example", False), ("x.shop.example", True)]
    assert place.files.store.wanted() == ["x.shop.example"]
    place.put("x.shop.example")
    place.inventory("b.example").certificates(place.demand())
    place.files.store.unwant("x.shop.example")
    found = place.inventory("b.example").certificates(place.demand())
    assert [one.name for one in found] == ["b.example", "x.shop.example"]


def test_a_name_that_failed_is_tried_again_only_when_it_is_asked_for_and_forgotten_after(place: Place) -> None:
    failed = State(on_demand=True, failures=2, retry=place.clock.wall() + 60)
    place.files.write("states/x.shop.example.json", state.encode(failed))
    assert place.inventory().certificates(place.demand()) == []
    place.files.store.want("x.shop.example")
    (one,) = place.inventory().certificates(place.demand())
    assert one.state.failures == 2
    place.files.store.unwant("x.shop.example")
    place.clock.advance(60 + GIVEN_UP)
    assert place.inventory().certificates(place.demand()) == []
    assert place.files.paths() == []


def test_a_certificate_on_demand_that_ended_long_ago_is_forgotten(place: Place) -> None:
    ended = lifetime(place.put("x.shop.example")).ends
    place.files.write("states/x.shop.example.json", state.encode(State(on_demand=True, expires=ended)))
    place.clock.advance(ended - place.clock.wall() + GIVEN_UP - 10)
    assert len(place.inventory().certificates(place.demand())) == 1
    place.clock.advance(20)
    assert place.inventory().certificates(place.demand()) == []
    assert place.files.paths() == []


def test_challenges_of_a_run_that_was_killed_are_swept_away(place: Place) -> None:
    for at, path in enumerate((f"challenges/http/{TOKEN}", "challenges/tls-alpn/a.example.pem")):
        place.files.write(path, b"x")
        os.utime(place.files.folder / path, (at, place.clock.wall() - LEFT_BEHIND - 1))
    place.files.write("challenges/tls-alpn/b.example.pem", b"x")
    place.inventory().sweep()
    assert place.files.paths() == ["challenges/tls-alpn/b.example.pem"]
