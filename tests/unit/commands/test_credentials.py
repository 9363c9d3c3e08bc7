"""`edgeproxy key` and `edgeproxy password`."""

from __future__ import annotations

import re
from math import inf

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from edgeproxy.identity.api_keys import new_key, parse_key
from edgeproxy.identity.passwords import parse_users, verify


def call(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=given)


def test_a_new_key_and_the_line_that_stores_it() -> None:
    result = call("key", "new", "shop", "--scope", "a:b", "--scope", "c", "--expires", "2027-01-31")
    assert result.exit_code == 0
    key, line = result.output.splitlines()
    digest, stored = parse_key(line)
    assert parse_key(call("key", "line", "shop", given=key + "\n").output)[0] == digest
    assert (stored.name, stored.scopes, stored.expires) == ("shop", {"a:b", "c"}, 1_801_353_600.0)


def test_keys_made_elsewhere_are_stored_if_they_cannot_be_guessed() -> None:
    key = new_key()
    result = call("key", "line", "shop", given=key)
    assert parse_key(result.output)[1].expires == inf
    assert key not in result.output
    result = call("key", "line", "shop", given="secret123")
    assert result.exit_code == 1
    assert "at least 32 random characters" in result.output
    assert "secret123" not in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a b"], "does not begin with a name"),
        (["shop", "--expires", "soon"], "'soon' is no time"),
        (["shop", "--scope", "a,b c"], "scopes= is followed by|only scopes="),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], why: str) -> None:
    result = call("key", "new", *arguments)
    assert result.exit_code == 1
    assert re.search(why, result.output)


def test_a_password_is_hashed_for_a_user() -> None:
    result = call("password", "hash", "alice", given="wonderland\n")
    assert result.exit_code == 0
    (users,) = [parse_users(result.output.splitlines())]
    assert verify(users[b"alice"], b"wonderland")
    assert "wonderland" not in result.output
    assert call("password", "hash", given="wonderland\r\n").output.startswith("$scrypt$")


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [("a:b", "x", "no colon"), ("alice", "", "a password has"), ("alice", b"\xff\n", "not UTF-8")],
)
def test_what_is_no_user_or_password_is_refused(name: str, given: str | bytes, why: str) -> None:
    result = call("password", "hash", name, given=given)
    assert result.exit_code == 1
    assert why in result.output
