"""DNS-01, which no part of a node has to answer. The other ways are proved by whole nodes: test_keeper.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeproxy.acme.authority import Task
from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.proofs import Proofs
from edgeproxy.acme.renewal import Outcome
from tests.support.acme import Node
from tests.support.pebble import Pebble

TOKEN = "DGyRejmCefe7v4NfDGDKfA"
TASK = Task("a.example", TOKEN, f"{TOKEN}.thumbprint")


@pytest.fixture(scope="module")
def pebble() -> Iterator[Pebble]:
    with Pebble() as pebble:
        yield pebble


def proofs(node: Node) -> Proofs:
    node.files.prepare()
    return Proofs(node.config, node.storage())


def test_a_hook_proves_a_name_and_a_wildcard_to_an_authority_that_looks(node: Node, pebble: Pebble) -> None:
    node.settings |= {"challenge": "dns-01", "dns_hook": (str(pebble.hook()),)}
    node.settings["groups"] = (("a.example", "*.a.example"),)
    assert node.run("a.example", "*.a.example") == Outcome(renewed=("a.example",))
    assert node.life("_.a.example").names == {"a.example", "*.a.example"}
    told = [line.split()[:2] for line in (pebble.folder / "hooked").read_text().splitlines()]
    assert sorted(told) == sorted([[action, "_acme-challenge.a.example"] for action in ("present", "cleanup")] * 2)


def test_a_name_that_is_not_proved_says_why(node: Node, pebble: Pebble, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    node.settings |= {"challenge": "dns-01", "dns_hook": (str(hook),)}
    ((name, why),) = node.run("b.example").failed
    assert name == "b.example"
    assert why.startswith("b.example is not proved: ")


def test_a_hook_that_fails_is_told_to_clean_up_and_the_order_ends(node: Node, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/hooked\n[ "$1" = cleanup ]\n')
    hook.chmod(0o755)
    node.settings |= {"challenge": "dns-01", "dns_hook": (str(hook),)}
    assert node.run("c.example").failed == (("c.example", "dns_hook ended with 1 at present"),)
    assert (tmp_path / "hooked").read_text().split() == ["present", "cleanup"]


def test_a_cleanup_that_fails_spoils_no_order(node: Node, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hook = tmp_path / "hook"
    hook.write_text('#!/bin/sh\n[ "$1" = present ]\n')
    hook.chmod(0o755)
    node.settings |= {"challenge": "dns-01", "dns_hook": (str(hook),)}
    with proofs(node).prove(TASK):
        pass
    assert "a.example: dns_hook ended with 1 at cleanup" in caplog.text


@pytest.mark.parametrize(
    ("challenge", "path"),
    [("http-01", f"challenges/http/{TOKEN}"), ("tls-alpn-01", "challenges/tls-alpn/a.example.pem")],
)
def test_a_proof_lies_there_for_as_long_as_it_is_asked_for(node: Node, challenge: str, path: str) -> None:
    node.settings["challenge"] = challenge
    proof = proofs(node).prove(TASK)
    proof.__enter__()
    content = node.files.read(path)
    assert content is not None
    refused = AcmeError("refused")
    assert not proof.__exit__(AcmeError, refused, None)
    assert node.files.read(path) is None
    assert (content == TASK.key_authorization.encode()) is (challenge == "http-01")
