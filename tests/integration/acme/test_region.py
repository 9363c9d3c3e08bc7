from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edgeproxy.acme import region as regions
from edgeproxy.acme.files import Files, digest_of
from edgeproxy.acme.region import Region, Seal
from edgeproxy.redis.link import Settings, UnavailableError
from tests.support.redis_server import RedisServer

SECRET = b"s" * 32
STATE, CERTIFICATE = "states/a.example.json", "certificates/a.example.pem"
CHALLENGE = "challenges/http/DGyRejmCefe7v4NfDGDKfA"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class Nodes:
    """Nodes that share what is on one server."""

    def __init__(self, server: RedisServer, folder: Path) -> None:
        self.server = server
        self._folder = folder
        self._open: list[Region] = []

    def node(self, name: str, secret: bytes | None = SECRET, *, runs: bool = True) -> tuple[Region, Files]:
        files = Files(self._folder / name)
        files.prepare()
        region = Region(Settings((self.server.url,)), secret, files, name if runs else "")
        self._open.append(region)
        return region, files

    async def close(self) -> None:
        for region in self._open:
            await region.close()


@pytest.fixture
async def nodes(server: RedisServer, tmp_path: Path) -> AsyncIterator[Nodes]:
    with server.client as client:
        client.flushall()
    nodes = Nodes(server, tmp_path)
    yield nodes
    await nodes.close()


async def test_what_one_node_has_all_have(nodes: Nodes) -> None:
    (a, in_a), (b, in_b) = nodes.node("a"), nodes.node("b")
    in_a.copy(CERTIFICATE, b"key and chain", 5_000)
    await a.same()
    assert await b.same()
    assert in_b.read(CERTIFICATE) == b"key and chain"
    assert in_b.stamps() == in_a.stamps()
    assert not await b.same()


async def test_the_newer_one_wins_whoever_comes_first(nodes: Nodes) -> None:
    (a, in_a), (b, in_b) = nodes.node("a"), nodes.node("b")
    in_a.copy(STATE, b"new", 2_000_000_000)
    in_b.copy(STATE, b"old", 1_000_000_000)
    for one in (b, a, b, a):
        await one.same()
    assert in_a.read(STATE) == in_b.read(STATE) == b"new"


async def test_what_redis_forgot_is_given_again(nodes: Nodes) -> None:
    (a, in_a), (b, in_b) = nodes.node("a"), nodes.node("b")
    in_a.write(CERTIFICATE, b"kept")
    await a.same()
    with nodes.server.client as client:
        client.flushall()
    await a.same()
    await b.same()
    assert in_b.read(CERTIFICATE) == b"kept"


async def test_a_challenge_is_there_for_as_long_as_it_lasts(nodes: Nodes) -> None:
    (a, _), (b, in_b) = nodes.node("a"), nodes.node("b")
    await b.same()
    await a.give(CHALLENGE, b"proof", 1_000)
    assert not await a.taken()
    await b.same()
    assert await a.taken()
    assert in_b.read(CHALLENGE) == b"proof"
    await a.give(CHALLENGE, b"", 2_000)
    await b.same()
    assert in_b.read(CHALLENGE) is None


async def test_what_was_removed_is_removed_everywhere(nodes: Nodes) -> None:
    (a, in_a), (b, in_b) = nodes.node("a"), nodes.node("b")
    in_a.copy(CERTIFICATE, b"revoked", 1_000)
    await a.same()
    await b.same()
    in_a.drop(CERTIFICATE)
    await a.give(CERTIFICATE, b"", 2_000)
    for one in (b, a):
        await one.same()
    assert in_b.read(CERTIFICATE) is in_a.read(CERTIFICATE) is None


async def test_one_holds_the_lease_until_it_lets_go(nodes: Nodes) -> None:
    (a, _), (b, _) = nodes.node("a"), nodes.node("b")
    assert await a.hold()
    assert not await b.hold()
    assert await a.hold()
    await b.let_go()
    assert not await b.hold()
    await a.let_go()
    assert await b.hold()


async def test_a_lease_ends_by_itself(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    (a, _), (b, _) = nodes.node("a"), nodes.node("b")
    await a.hold()
    with nodes.server.client as client:
        assert 0 < client.pttl("edgeproxy:{acme}:lease") <= regions.LEASE * 1000
        client.pexpire("edgeproxy:{acme}:lease", 0)
    assert await b.hold()


async def test_a_node_that_is_silent_is_not_waited_for(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    (a, _), (b, _), (run, _) = nodes.node("a"), nodes.node("b"), nodes.node("a", runs=False)
    await a.same()
    await b.same()
    await run.give(STATE, b"{}", 1_000)
    await a.same()
    assert not await run.taken()
    monkeypatch.setattr(regions, "HEARD", 0.0)
    assert await run.taken()
    monkeypatch.setattr(regions, "FORGOTTEN", 0.0)
    assert await run.taken()
    with nodes.server.client as client:
        assert client.hlen("edgeproxy:{acme}:nodes") == 0


async def test_nothing_lies_there_in_the_clear_with_a_secret_nor_is_taken_so(nodes: Nodes) -> None:
    (a, in_a), (plain, in_plain) = nodes.node("a"), nodes.node("b", None)
    in_a.write(CERTIFICATE, b"-----BEGIN PRIVATE KEY-----")
    await a.same()
    with nodes.server.client as client:
        stored = client.hgetall("edgeproxy:{acme}:files")
    assert b"PRIVATE" not in b"".join(stored.values())
    await plain.same()
    assert in_plain.read(CERTIFICATE) is None
    assert plain.unread == 1
    in_plain.copy(STATE, b"from who has no secret", 10**18)
    await plain.same()
    await a.same()
    assert in_a.read(STATE) is None


async def test_who_has_no_secret_removes_nothing(nodes: Nodes) -> None:
    a, in_a = nodes.node("a")
    in_a.write(CERTIFICATE, b"kept")
    await a.same()
    with nodes.server.client as client:
        client.hset("edgeproxy:{acme}:stamps", CERTIFICATE, b"9000000000000000000:-")
        client.hset("edgeproxy:{acme}:files", CERTIFICATE, b"\x00")
        client.incr("edgeproxy:{acme}:version")
    await a.same()
    assert in_a.read(CERTIFICATE) == b"kept"
    assert a.unread == 1


async def test_who_writes_to_redis_writes_no_other_file(nodes: Nodes, tmp_path: Path) -> None:
    a, in_a = nodes.node("a", None)
    with nodes.server.client as client:
        for path in ("../x", f"{tmp_path}/x", "certificates/../../x", "lock", "x", "certificates/\xff.pem"):
            client.hset("edgeproxy:{acme}:files", path, b"\x00x")
            client.hset("edgeproxy:{acme}:stamps", path, f"5:{digest_of(b'x')}")
        client.hset("edgeproxy:{acme}:stamps", STATE, b"\xff\xfe")
        client.hset("edgeproxy:{acme}:stamps", CERTIFICATE, b"5:" + b"0" * 64)
        client.hset("edgeproxy:{acme}:files", CERTIFICATE, b"\x00another than the digest says")
        client.set("edgeproxy:{acme}:version", "abc")
        client.hset("edgeproxy:{acme}:nodes", "x", "y:z")
    await a.same()
    await a.taken()
    assert in_a.paths() == []
    assert not list(tmp_path.rglob("x"))  # noqa: ASYNC240
    assert not (in_a.folder / "lock").exists()


async def test_a_file_opens_under_its_own_path_and_time_alone() -> None:
    seal = Seal(SECRET)
    stored = seal.close(CERTIFICATE, 7, b"content")
    assert seal.open(CERTIFICATE, 7, stored) == b"content"
    assert seal.open(STATE, 7, stored) is None
    assert seal.open(CERTIFICATE, 8, stored) is None
    assert Seal(b"t" * 32).open(CERTIFICATE, 7, stored) is None
    assert Seal(None).open(CERTIFICATE, 7, stored) is None
    assert seal.open(CERTIFICATE, 7, Seal(None).close(CERTIFICATE, 7, b"content")) is None
    for broken in (b"", b"\x01", stored[:-1], stored[:10]):
        assert seal.open(CERTIFICATE, 7, broken) is None


async def test_redis_that_is_away_is_said(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.prepare()
    region = Region(Settings(("redis://127.0.0.1:9",)), None, files, "a")
    with pytest.raises(UnavailableError):
        await region.same()
    await region.close()
