from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeproxy.acme.account import Account
from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.renewal import Outcome
from edgeproxy.clock import Clock
from tests.support.acme import Node
from tests.support.pebble import HMAC, Pebble


def about(node: Node) -> dict[str, str]:
    (path,) = (node.folder / "accounts").glob("*.json")
    found: dict[str, str] = json.loads(path.read_bytes())
    return found


def account(node: Node) -> Account:
    node.files.prepare()
    return Account(node.config, node.storage(), Clock())


def test_an_account_is_made_once_and_used_again(node: Node) -> None:
    node.settings["email"] = "operator@a.example"
    account(node).open()
    first = about(node)
    account(node).open()
    assert about(node) == first
    assert first["email"] == "operator@a.example"
    assert first["directory"] == node.config.url


def test_another_address_of_mail_is_told_to_the_account_there_is(node: Node, pebble: Pebble) -> None:
    account(node).open()
    url = about(node)["url"]
    told = pebble.log().count("POST /my-account/")
    node.settings["email"] = "new@a.example"
    for _ in range(2):
        account(node).open()
    assert pebble.log().count("POST /my-account/") == told + 1
    assert about(node) == {"url": url, "directory": node.config.url, "email": "new@a.example"}


def test_an_account_whose_making_was_cut_short_is_found_by_its_key(node: Node) -> None:
    account(node).open()
    (path,) = (node.folder / "accounts").glob("*.json")
    url = about(node)["url"]
    path.unlink()
    account(node).open()
    assert about(node)["url"] == url


def test_a_key_that_cannot_be_read_is_said_and_kept(node: Node) -> None:
    account(node).open()
    (path,) = (node.folder / "accounts").glob("*.pem")
    path.write_bytes(b"x")
    with pytest.raises(AcmeError, match="holds no key"):
        account(node).open()
    assert path.read_bytes() == b"x"


def test_an_authority_that_forgot_the_account_gets_another(tmp_path: Path) -> None:
    with Pebble(valid=True) as pebble:
        node = Node(pebble, tmp_path / "acme")
        node.run("a.example")
        pebble.stop()
        pebble.start()
        outcome = node.run("b.example")
        assert "accountDoesNotExist" in outcome.failed[0][1]
        node.clock.advance(60)
        assert node.run("b.example") == Outcome(renewed=("b.example",))


def test_an_account_is_bound_to_an_external_one(tmp_path: Path) -> None:
    with Pebble(valid=True, kid="kid-1") as pebble:
        node = Node(pebble, tmp_path / "acme")
        with pytest.raises(AcmeError, match="wants an external_account"):
            account(node).open()
        node.settings["external_account"] = {"kid": "kid-1", "hmac": "AAAA" * 16}
        with pytest.raises(AcmeError):
            account(node).open()
        (tmp_path / "hmac").write_text(HMAC + "\n")
        node.settings["external_account"] = {"kid": "kid-1", "hmac_file": str(tmp_path / "hmac")}
        assert node.run("a.example") == Outcome(renewed=("a.example",))
