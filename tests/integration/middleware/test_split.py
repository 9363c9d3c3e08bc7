"""Splits on real nodes: one key, one arm; arms that share nothing; a canary that grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.trial import explain_request, load_and_build, make_request
from tests.support import pictures
from tests.support.client import Answer, RawClient, ask
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, request

USERS = [b"user-%d" % number for number in range(60)]


def config(stable: Site, canary: Site, share: str = "50%") -> dict[str, Any]:
    by_user = {
        "key": "header:x-user",
        "arms": {
            "old": {"response": {"x-told": "old"}},
            "new": {"share": share, "pool": "canary", "request": {"x-arm": "new"}, "response": {"x-told": "new"}},
            "tester": {"when": {"cookie": {"tester": "1"}}, "pool": "canary", "response": {"x-told": "tester"}},
        },
    }
    by_draw = {"key": "random", "arms": {"a": {}, "b": {"share": "50%", "response": {"x-told": "b"}}}}
    return {
        "pools": {"stable": {"endpoints": [stable.url]}, "canary": {"endpoints": [canary.url]}},
        "routes": [
            {"name": "drawn", "pool": "stable", "match": {"path": "/drawn"}, "middleware": {"split": _one(by_draw)}},
            {"name": "all", "pool": "stable", "middleware": {"split": _one(by_user)}},
        ],
    }


def _one(settings: dict[str, Any]) -> dict[str, Any]:
    return {"splits": {"checkout": settings}}


@pytest.fixture(scope="module")
def stable() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def canary() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def edge(stable: Site, canary: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(stable, canary)) as edge:
        yield edge


def get(edge: EdgeProcess, target: bytes, *fields: bytes) -> Answer:
    (got,) = ask(edge.address, request(target, *fields)).final
    return got


def arms(edge: EdgeProcess) -> dict[bytes, bytes | None]:
    """The arm of every user, over one connection."""
    with RawClient(edge.address) as client:
        client.send(b"".join(request(b"/", b"X-User: " + user) for user in USERS))
        return dict(zip(USERS, (each.get(b"x-told") for each in client.answers(len(USERS)).final), strict=True))


@pytest.mark.slow
def test_one_key_is_in_one_arm_on_every_node(edge: EdgeProcess, stable: Site, canary: Site) -> None:
    with EdgeProcess(config(stable, canary)) as other:
        one, two = arms(edge), arms(other)
    assert one == two
    assert set(one.values()) == {b"old", b"new"}


def test_the_cache_never_mixes_arms(edge: EdgeProcess, stable: Site, canary: Site) -> None:
    fields = (b"Cache-Control: max-age=600", b'ETag: "1"')
    stable.on(b"/page", answer(200, b"stable page", *fields))
    canary.on(b"/page", answer(200, b"canary page", *fields))
    drawn = arms(edge)
    for _ in range(2):
        for user in USERS[:12]:
            wanted = b"canary page" if drawn[user] == b"new" else b"stable page"
            got = get(edge, b"/page", b"X-User: " + user)
            assert (got.body, got.get(b"x-told")) == (wanted, drawn[user])
            assert got.get(b"vary") == b"x-user, cookie"
        assert get(edge, b"/page", b"Cookie: tester=1").body == b"canary page"
    assert b"hit" in (got.get(b"cache-status") or b"")
    assert len(stable.to(b"/page")) == 1
    asked = canary.to(b"/page")
    assert [each.get(b"x-arm") for each in asked] == [b"new", None], "two arms of one pool have a copy each"


def test_what_clients_say_of_their_arm_does_not_reach_the_origin(edge: EdgeProcess, stable: Site) -> None:
    assert get(edge, b"/forged", b"X-Arm: new").get(b"x-told") == b"old"
    assert stable.to(b"/forged")[0].get(b"x-arm") is None


def test_a_purge_reaches_every_arm(edge: EdgeProcess, stable: Site, canary: Site) -> None:
    for site in (stable, canary):
        site.on(b"/purged", answer(200, b"before", b"Cache-Control: max-age=600"))
    cookies = (b"Cookie: a=1", b"Cookie: tester=1")
    assert [get(edge, b"/purged", cookie).body for cookie in cookies] == [b"before"] * 2
    for site in (stable, canary):
        site.on(b"/purged", answer(200, b"after", b"Cache-Control: max-age=600"))
    assert edge.admin("/purge", "POST", {"url": "http://a.example/purged"})[1].split() == [b'{"purged":', b"2}"]
    assert [get(edge, b"/purged", cookie).body for cookie in cookies] == [b"after"] * 2


def test_a_visitor_draws_once_and_stays(edge: EdgeProcess) -> None:
    seen = set()
    for _ in range(24):
        first = get(edge, b"/drawn")
        pair = (first.get(b"set-cookie") or b"").partition(b";")[0]
        assert pair.startswith(b"split-checkout=")
        for _ in range(2):
            again = get(edge, b"/drawn", b"Cookie: " + pair)
            assert again.get(b"x-told") == first.get(b"x-told")
            assert again.get(b"set-cookie") is None
        seen.add(first.get(b"x-told"))
    assert seen == {None, b"b"}


def test_what_is_kept_of_a_page_has_nobodys_number(edge: EdgeProcess, stable: Site) -> None:
    stable.on(b"/drawn/page", answer(200, b"page", b"Cache-Control: max-age=600"))
    got = [get(edge, b"/drawn/page") for _ in range(12)]
    assert {each.get(b"cache-control") for each in got} == {b"max-age=600, private"}
    assert len({each.get(b"set-cookie") for each in got}) >= 11, "each has drawn"
    assert len(stable.to(b"/drawn/page")) <= 2, "each arm is asked for once"
    known = get(edge, b"/drawn/page", b"Cookie: split-checkout=7")
    assert (known.get(b"cache-control"), known.get(b"set-cookie")) == (b"max-age=600", None)


def test_arms_are_in_the_log_and_in_the_metrics(edge: EdgeProcess, canary: Site) -> None:
    canary.on(b"/failing", answer(500, b"", reason=b"Internal Server Error"))
    assert get(edge, b"/failing", b"Cookie: tester=1").status == 500

    def logged() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in edge.logs().splitlines() if line.startswith('{"') and "/failing" in line]
        return [line for line in lines if "checkout=tester" in str(line)]

    wait_until(lambda: bool(logged()), "the line is written")
    metrics = edge.admin("/metrics")[1].decode()
    assert 'edgeproxy_split_requests_total{arm="tester",result="error",split="checkout"} 1.0' in metrics
    assert 'edgeproxy_split_seconds_count{arm="tester",split="checkout"}' in metrics


@pytest.mark.slow
def test_a_canary_that_grows_keeps_those_who_were_in_it(stable: Site, canary: Site) -> None:
    with EdgeProcess(config(stable, canary, "10%")) as edge:
        before = arms(edge)
        edge.write(config(stable, canary, "60%"))
        edge.reload()
        wait_until(lambda: arms(edge) != before, "the new configuration is in service")
        after = arms(edge)
    few = {user for user, arm in before.items() if arm == b"new"}
    many = {user for user, arm in after.items() if arm == b"new"}
    assert few < many
    assert few


@pytest.mark.slow
def test_variants_of_pictures_are_made_from_their_arms_own(stable: Site, canary: Site) -> None:
    fields = (b"Cache-Control: max-age=600", b"Content-Type: image/jpeg")
    for site, size in ((stable, (800, 600)), (canary, (800, 400))):
        site.on(b"/photo.jpg", answer(200, pictures.encode(pictures.photo(*size)), *fields))
    with EdgeProcess(config(stable, canary) | {"middleware": {"images": {"query": True}}}) as edge:
        for _ in range(2):
            for cookie, height in ((b"a=1", 240), (b"tester=1", 160)):
                got = get(edge, b"/photo.jpg?width=320&format=webp", b"Cookie: " + cookie)
                assert (got.get(b"content-type"), pictures.decode(got.body).size) == (b"image/webp", (320, height))
    assert (len(stable.to(b"/photo.jpg")), len(canary.to(b"/photo.jpg"))) == (1, 1)


def test_a_pool_that_is_not_there_is_refused_and_explain_follows_the_arm(tmp_path: Path) -> None:
    arms = {"old": {}, "new": {"pool": "canry", "when": {"header": {"x-beta": "1"}}}}
    file = tmp_path / "edge.yaml"
    whole = {
        "listeners": [{"address": "127.0.0.1:1"}],
        "pools": {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("site", "canary")},
        "routes": [{"name": "all", "pool": "site", "middleware": {"split": {"splits": {"test": {"arms": arms}}}}}],
    }
    file.write_text(yaml.safe_dump(whole, sort_keys=False))
    with pytest.raises(ConfigErrors, match="there is no pool 'canry'; did you mean 'canary'"):
        load_and_build(file)
    file.write_text(file.read_text().replace("canry", "canary"))
    _, snapshot = load_and_build(file)
    for headers, arm, pool in (((), "old", "site"), (("x-beta: 1",), "new", "canary")):
        lines = list(explain_request(snapshot, make_request("http://a.example/", "GET", headers)))
        assert any(line.endswith(f"split: test={arm}") for line in lines)
        assert any(line.startswith(f"pool      {pool}:") for line in lines)
