"""What `edgeproxy simulate` refuses to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeproxy.cli import main


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--target", "192.0.2.1:80"], "192.0.2.1:80 is not a loopback address"),
        (["--target", "www.example.com:80"], "is not an address"),
        (["--admin", "192.0.2.1:80"], "192.0.2.1:80 is not a loopback address"),
        (["--requests", "1000000000"], "requests: Input should be less than or equal to 200000"),
        (["--duration", "1y"], "is not a duration"),
        (["--path", "nowhere"], "paths.0: "),
        (["--describe", "/nonexistent.yaml"], "No such file"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_is_sent(options: list[str], complaint: str) -> None:
    done = CliRunner().invoke(main, ["simulate", "flood", *options])
    assert done.exit_code == 1
    assert complaint in done.stderr
    assert done.stdout == ""


def test_a_configuration_for_other_machines_is_none(tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(
        'listeners: [{address: "192.0.2.1:80"}]\n'
        'pools: {site: {endpoints: ["http://127.0.0.1:1"]}}\n'
        "routes: [{name: all, pool: site}]\n"
    )
    done = CliRunner().invoke(main, ["simulate", "flood", "-c", str(file)])
    assert done.exit_code == 1
    assert "not a loopback address" in done.stderr


def test_its_help_has_examples() -> None:
    done = CliRunner().invoke(main, ["simulate", "flood", "--help"])
    assert done.exit_code == 0
    assert "edgeproxy simulate flood --target 127.0.0.1:8080" in done.output
