from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeproxy.acme import storage as storages
from edgeproxy.acme.region import Region
from edgeproxy.acme.renewal import Outcome
from edgeproxy.acme.storage import SharedStorage, Storage
from edgeproxy.redis.link import Settings
from tests.support.acme import Node
from tests.support.pebble import Pebble
from tests.support.redis_server import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class SharingNode(Node):
    """One whose folder is shared through a server."""

    url = ""

    def storage(self) -> Storage:
        return SharedStorage(self.files, lambda: Region(Settings((self.url,)), b"s" * 32, self.files))


@pytest.fixture
def pair(server: RedisServer, pebble: Pebble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    monkeypatch.setattr(SharingNode, "url", server.url)
    first = SharingNode(pebble, tmp_path / "first")
    return [first, SharingNode(pebble, tmp_path / "second", first.clock)]


def test_two_nodes_order_once_by_one_account(pair: list[Node], pebble: Pebble) -> None:
    first, second = pair
    before = pebble.orders()
    assert first.run("a.example") == Outcome(renewed=("a.example",))
    assert second.run("a.example") == Outcome()
    assert pebble.orders() == before + 1
    assert first.pem("a.example") == second.pem("a.example")
    assert first.files.stamps() == second.files.stamps()


def test_either_may_renew_and_the_other_has_it(pair: list[Node]) -> None:
    first, second = pair
    first.run("a.example")
    second.clock.advance(80 * 86_400.0)
    assert second.run("a.example") == Outcome(renewed=("a.example",))
    second.clock.advance(-80 * 86_400.0)  # the authority's clock has stood still
    assert first.run("a.example") == Outcome()
    assert first.pem("a.example") == second.pem("a.example")


def test_a_refused_name_is_left_alone_by_both(pair: list[Node]) -> None:
    first, second = pair
    assert len(first.run("refused.example").failed) == 1
    assert second.run("refused.example") == Outcome()
    assert second.state("refused.example").failures == 1


def test_one_at_a_time(pair: list[Node]) -> None:
    first, second = pair
    first.files.prepare()
    second.files.prepare()
    with first.storage().turn() as mine:
        assert mine == ""
        assert second.run("a.example").busy == "another node renews"
    assert second.run("a.example") == Outcome(renewed=("a.example",))


def test_without_redis_nothing_is_begun_and_what_there_is_stays(pair: list[Node], server: RedisServer) -> None:
    first, _ = pair
    first.run("a.example")
    server.stop()
    assert first.run("a.example", "b.example").busy.startswith("redis does not answer")
    assert first.pem("a.example") is not None


def test_redis_that_goes_away_meanwhile_loses_nothing(pair: list[Node], server: RedisServer) -> None:
    first, second = pair
    first.files.prepare()
    with first.storage().turn():
        pass
    storage = first.storage()
    with storage.turn() as busy:
        assert not busy
        server.stop()
        storage.write("states/a.example.json", b"{}")
        storage.drop("states/b.example.json")
        storage.settle()
        server.start()
    assert first.files.read("states/a.example.json") == b"{}"
    second.files.prepare()
    for node in (first, second):
        with node.storage().turn() as busy:
            assert not busy
    assert second.files.read("states/a.example.json") == b"{}"


def test_a_turn_lasts_as_long_as_it_is_kept(pair: list[Node], server: RedisServer) -> None:
    pair[0].files.prepare()
    storage = pair[0].storage()
    with storage.turn(), server.client as client:
        client.pexpire("edgeproxy:{acme}:lease", 10_000)
        storage.keep_turn()
        assert client.pttl("edgeproxy:{acme}:lease") > 10_000
    with server.client as client:
        assert client.get("edgeproxy:{acme}:lease") is None


def test_a_challenge_waits_until_nodes_that_are_there_have_it(
    pair: list[Node], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pair[0]
    first.files.prepare()
    storage, waited = first.storage(), threading.Event()

    class Watching:
        """Stands in for time: notices the wait, and lets the other node write itself down meanwhile."""

        monotonic = staticmethod(storages.time.monotonic)
        time_ns = staticmethod(storages.time.time_ns)

        @staticmethod
        def sleep(_: float) -> None:
            waited.set()
            with server.client as client:
                version = client.get("edgeproxy:{acme}:version") or b"0"
                client.hset("edgeproxy:{acme}:nodes", "second", b"%b:%d" % (version, client.time()[0]))

    with server.client as client:
        client.hset("edgeproxy:{acme}:nodes", "second", b"0:%d" % client.time()[0])
    monkeypatch.setattr(storages, "time", Watching)
    with storage.turn():
        storage.write("challenges/http/DGyRejmCefe7v4NfDGDKfA", b"proof")
        storage.settle()
    assert waited.is_set()
