"""How commands reach the admin listener: its address, its token, and what goes wrong in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config

TOKEN = "a-token-of-the-tests-own"


@pytest.fixture(scope="module")
def edge() -> Iterator[EdgeProcess]:
    with Site() as site, EdgeProcess(config(site.url, log={"access": False}, admin={"token": TOKEN})) as edge:
        yield edge


def purge(admin: str, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["purge", "--all", "--admin", admin, *arguments], env=environment)


def test_the_token_comes_from_the_environment_or_a_file(edge: EdgeProcess, tmp_path: Path) -> None:
    admin = f"127.0.0.1:{edge.admin_port}"
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert purge(admin, EDGEPROXY_ADMIN_TOKEN=TOKEN).exit_code == 0
    assert purge(admin, "--token-file", str(file)).exit_code == 0
    assert purge(admin, "--token-file", str(file), EDGEPROXY_ADMIN_TOKEN="another-that-is-wrong").exit_code == 0


@pytest.mark.parametrize("token", ["", "another-that-is-wrong", "line\nbreak"])
def test_without_the_token_it_says_how_to_give_it(edge: EdgeProcess, token: str) -> None:
    result = purge(f"127.0.0.1:{edge.admin_port}", EDGEPROXY_ADMIN_TOKEN=token)
    assert result.exit_code == 1
    assert "token" in result.stderr
    assert TOKEN not in result.stderr


def test_a_token_file_that_cannot_be_read_is_told(edge: EdgeProcess, tmp_path: Path) -> None:
    result = purge(f"127.0.0.1:{edge.admin_port}", "--token-file", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "--token-file" in result.stderr


def test_a_node_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = purge(f"unix:{tmp_path}/none")
    assert result.exit_code == 1
    assert "is edgeproxy running?" in result.stderr


def test_what_is_no_address_is_told() -> None:
    result = purge("nowhere at all")
    assert result.exit_code == 2
    assert "--admin" in result.stderr
