"""`edgeproxy certificates list`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from edgeproxy.certificates.store import CertificateStore
from edgeproxy.cli import main
from tests.support.certificates import Authority, Pair


class Written:
    """A configuration with certificates in files and from an authority."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder, "An authority")
        self.store = CertificateStore(folder / "store")
        self.store.prepare()
        self.file = folder / "edgeproxy.yaml"

    def listed(self, *pairs: Pair, **tls: Any) -> tuple[int, str]:
        files = [{"certificate": str(pair.certificate), "key": str(pair.key)} for pair in pairs]
        whole = {
            "listeners": [{"address": "127.0.0.1:8443", "tls": {"certificates": files, **tls}}],
            "acme": {
                "agree_to_terms": True,
                "folder": str(self.store.path),
                "groups": [["b.example", "www.b.example"]],
            },
            "pools": {"site": {"endpoints": ["http://127.0.0.1:8000"]}},
            "routes": [{"name": "all", "pool": "site"}],
        }
        self.file.write_text(yaml.safe_dump(whole))
        told = CliRunner().invoke(main, ["certificates", "list", "-c", str(self.file)])
        return told.exit_code, told.output

    def stored(self, name: str, *names: str) -> None:
        pair = self.authority.issue(name, *names, file=f"stored-{name}")
        self.store.put(self.store.certificate(name), pair.key.read_bytes() + pair.certificate.read_bytes())


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_files_are_shown_with_issuer_end_and_source(written: Written) -> None:
    pair = written.authority.issue("a.example", "www.a.example")
    code, said = written.listed(pair)
    heading, line = said.splitlines()
    assert code == 0
    assert heading.split() == ["NAMES", "ISSUER", "UNTIL", "SOURCE"]
    until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 30 * 86_400))
    assert line.split("  ")[:2] == ["a.example www.a.example", "An authority"]
    assert until in line
    assert line.endswith(str(pair.certificate))


def test_many_names_are_counted(written: Written) -> None:
    _, said = written.listed(written.authority.issue(*(f"n{number}.example" for number in range(7))))
    assert "n0.example n1.example n2.example and 4 more" in said


def test_what_has_expired_or_is_missing_or_broken_stands_out(written: Written) -> None:
    old = written.authority.issue("old.example", days=(-90, -2))
    written.store.put(written.store.certificate("c.example"), b"broken")
    code, said = written.listed(old, acme=["c.example", "d.example"])
    assert code == 1
    assert "expired 2 d ago" in said
    assert "no certificate that can be read" in said
    assert "not there yet" in said


def test_a_group_is_shown_once_and_what_came_on_demand_last(written: Written) -> None:
    written.stored("b.example", "www.b.example")
    written.stored("asked.example")
    code, said = written.listed(acme=["b.example", "www.b.example"])
    assert code == 0
    assert said.count("b.example www.b.example") == 1
    assert said.splitlines()[-1].endswith("acme, on demand")


def test_a_broken_configuration_is_an_error_of_its_own(written: Written) -> None:
    code, said = written.listed(acme=["a b"])
    assert code == 1
    assert "is not a host" in said
