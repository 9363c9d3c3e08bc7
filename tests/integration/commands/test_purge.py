"""``edgeproxy purge`` against a running node."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from tests.support.client import ask
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

TARGETS = (b"/a", b"/b/1", b"/b/2")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        for number, target in enumerate(TARGETS):
            site.on(
                target,
                answer(200, target, b"Cache-Control: max-age=600", b"Surrogate-Key: every n%d" % number),
            )
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(site.url, log={"access": False})) as edge:
        yield edge


@pytest.fixture
def stale(edge: EdgeProcess, site: Site) -> Callable[[], list[bytes]]:
    """Fills the cache; the function returned says which targets the origin is asked for again."""

    def asked() -> list[bytes]:
        site.clear()
        for target in TARGETS:
            assert ask(edge.address, request(target, b"Connection: close")).final[0].body == target
        return [seen.target for seen in site.requests]

    asked()
    return asked


def call(edge: EdgeProcess, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["purge", "--admin", f"127.0.0.1:{edge.admin_port}", *arguments])


@pytest.mark.parametrize(
    ("arguments", "said", "again"),
    [
        (["http://a.example/a"], "purged: url http://a.example/a\n1 stored answer found\n", [b"/a"]),
        (
            ["--prefix", "http://a.example/b/"],
            "purged: prefix http://a.example/b/\n2 stored answers found\n",
            [b"/b/1", b"/b/2"],
        ),
        (["--tag", "n0", "--tag", "n2"], "purged: tag n0\npurged: tag n2\n2 stored answers found\n", [b"/a", b"/b/2"]),
        (["--host", "a.example", "--soft"], "marked stale: host a.example\n3 stored", list(TARGETS)),
        (["--host", "b.example"], "purged: host b.example\n0 stored answers found\n", []),
        (["--all"], "purged: everything\n3 stored", list(TARGETS)),
    ],
)  # fmt: skip
def test_each_kind_of_purge_says_what_it_did(
    arguments: list[str], said: str, again: list[bytes], edge: EdgeProcess, stale: Callable[[], list[bytes]]
) -> None:
    result = call(edge, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(said)
    assert stale() == again
    assert stale() == []


def test_what_cannot_be_purged_is_told_and_nothing_is(edge: EdgeProcess, stale: Callable[[], list[bytes]]) -> None:
    result = call(edge, "http://a.example/a", "nonsense")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: 'nonsense' is no absolute http or https URL\n"
    assert stale() == []


def test_a_purge_of_nothing_asks_for_what(edge: EdgeProcess) -> None:
    result = call(edge)
    assert result.exit_code == 2
    assert "say what to purge: a URL, --prefix, --host, --tag or --all" in result.stderr
