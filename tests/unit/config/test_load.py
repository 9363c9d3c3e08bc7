"""What golden files cannot say: files on disk, bounds, and values that are not text."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeproxy.config.document import MAX_BYTES
from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.load import load_file, load_text

MINIMAL = (
    "listeners: [{address: ':80'}]\npools: {site: {endpoints: ['http://a:1']}}\nroutes: [{name: all, pool: site}]\n"
)


def message(path: Path) -> str:
    with pytest.raises(ConfigErrors) as raised:
        load_file(path)
    return str(raised.value).replace(str(path), "FILE")


def test_file_that_is_not_there(tmp_path: Path) -> None:
    assert message(tmp_path / "none.yaml") == "FILE: cannot be read: No such file or directory"
    assert message(tmp_path) == "FILE: cannot be read: Is a directory"


def test_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"workers: 1\nlog: \xff\n")
    assert message(tmp_path / "a.yaml") == "FILE:2:1: not UTF-8"


def test_file_that_is_too_large_is_refused_unparsed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MINIMAL + "#" * MAX_BYTES)
    assert message(tmp_path / "a.yaml") == "FILE: larger than 1000 KB"


def test_nesting_beyond_the_parsers_own_depth_is_refused() -> None:
    with pytest.raises(ConfigErrors, match="nested deeper than 32 levels"):
        load_text("a: " + "[" * 50_000)


def test_values_are_numbers_once_loaded() -> None:
    config = load_text(MINIMAL + "limits: {head_timeout: 1m30s, head_size: 64KiB}\ncache: {memory: 1GB}\n")
    assert (config.limits.head_timeout, config.limits.head_size, config.cache.memory) == (90.0, 65536, 10**9)
    outlier = config.pools["site"].outlier
    assert outlier is not None
    assert outlier.max_ejected == 0.5


def test_relative_certificates_start_at_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    for name in ("a.pem", "a.key"):
        (tmp_path / "tls" / name).touch()
    (tmp_path / "edge.yaml").write_text(
        MINIMAL.replace("':80'", "':443', tls: {certificates: [{certificate: tls/a.pem, key: tls/a.key}]}")
    )
    tls = load_file(tmp_path / "edge.yaml").listeners[0].tls
    assert tls is not None
    assert tls.certificates[0].certificate == str(tmp_path / "tls" / "a.pem")


def test_configuration_cannot_be_changed() -> None:
    config = load_text(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        config.workers = 4


def test_secret_in_another_spelling_is_not_shown_either() -> None:
    """A validator that lowers or cuts what it quotes must not give a secret away."""
    text = MINIMAL.replace("'http://a:1'", "'http://u:${KEY}@x'").replace(
        "name: all", "name: all, match: {host: '${KEY}'}"
    )
    with pytest.raises(ConfigErrors) as raised:
        load_text(text, env={"KEY": "Sup3rS3cret!!Key"})
    assert "s3cret" not in str(raised.value).lower()
    assert "${KEY}" in str(raised.value)


def test_errors_are_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigErrors) as raised:
        load_text("cache: {memory: x}\nzeta: 1\n" + MINIMAL + "alpha: 1\nlog: {level: x}\n")
    lines = [error.line for error in raised.value.errors]
    assert lines == sorted(lines)
    assert len(lines) == 4
