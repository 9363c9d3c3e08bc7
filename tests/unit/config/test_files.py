"""The configuration files that come with the project, and the schema that is generated from the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from edgeproxy.config.load import load_file, load_text
from edgeproxy.config.reference import json_schema
from edgeproxy.config.schema import Config
from edgeproxy.config.stages import discover
from edgeproxy.observe.redact import SENSITIVE

ROOT = Path(__file__).parents[3]
DEFAULT = ROOT / "config" / "edgeproxy.yaml"
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.yaml"))


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in _models(field.annotation):
            yield from keys(inner)


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for argument in get_args(kind):
        yield from _models(argument)


def test_default_configuration_loads_without_any_environment() -> None:
    config = load_file(DEFAULT, {})
    assert [listener.address for listener in config.listeners] == ["127.0.0.1:8080"]
    assert config.admin is not None
    assert config.admin.address == "127.0.0.1:9900"
    assert [route.name for route in config.routes] == ["api", "members", "models", "live", "site"]


def test_container_can_set_addresses_and_origin() -> None:
    given = {"EDGEPROXY_LISTEN": "0.0.0.0:80", "EDGEPROXY_ADMIN": "unix:/run/admin", "EDGEPROXY_ORIGIN": "http://app:1"}
    config = load_file(DEFAULT, given)
    assert config.listeners[0].address == "0.0.0.0:80"
    assert config.admin is not None
    assert config.admin.address == "unix:/run/admin"
    assert config.pools["site"].endpoints[0].url == "http://app:1"


def test_default_configuration_shows_every_key() -> None:
    text = DEFAULT.read_text()
    shown = set(re.findall(r"(?:^|[#\s{-])([a-z_0-9]+):(?=\s|$)", text, re.MULTILINE))
    assert set(keys(Config)) - shown == set()


def test_defaults_shown_in_comments_are_the_defaults() -> None:
    """Sections whose keys all stand behind a # are read with the # taken off, and come to the defaults."""
    text = DEFAULT.read_text()
    minimal = (
        "listeners: [{address: ':1'}]\npools: {site: {endpoints: ['http://a']}}\nroutes: [{name: all, pool: site}]\n"
    )
    plain = load_text(minimal)
    for section in ("limits", "drain"):
        block = re.search(rf"^{section}:.*\n((?:#  .*\n)+)", text, re.MULTILINE)
        assert block is not None
        shown = load_text(minimal + f"{section}:\n" + block[1].replace("#  ", "  "))
        assert getattr(shown, section) == getattr(plain, section)
        assert set(yaml.safe_load(block[1].replace("#  ", "  "))) == set(type(getattr(plain, section)).model_fields)


def test_the_parameters_masked_by_default_are_shown_in_full() -> None:
    block = re.search(r"^#    mask:.*\n((?:#      .*\n)+)", DEFAULT.read_text(), re.MULTILINE)
    assert block is not None
    assert tuple(yaml.safe_load(block[0].replace("#", " ", 1).replace("\n#", "\n "))["mask"]) == SENSITIVE
    access = load_file(DEFAULT, {}).log.access
    assert access is not None
    assert access.mask == SENSITIVE


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_example_loads(file: Path, tmp_path: Path) -> None:
    for name in ("www.example.com.pem", "www.example.com.key", "example.net.pem", "example.net.key", "partners.pem"):
        (tmp_path / name).touch()
    assert load_file(file, {"CERTS": str(tmp_path)}).routes


def test_schema_file_is_current() -> None:
    """If not: edgeproxy schema > config/schema.json"""
    assert json.loads((ROOT / "config" / "schema.json").read_text()) == json_schema(discover())


def test_schema_describes_every_stage_globally_and_on_routes() -> None:
    schema = json_schema(discover())
    for owner in ("Config", "RouteConfig"):
        shape = schema["$defs"][owner]["properties"]["middleware"]
        assert set(shape["properties"]) == set(discover().stages)
        assert shape["additionalProperties"] is False


def test_every_setting_is_described() -> None:
    for name, definition in json_schema(discover())["$defs"].items():
        for key, setting in definition.get("properties", {}).items():
            if name.endswith("Config") and "$ref" not in setting and "allOf" not in setting:
                assert "description" in setting or "anyOf" in setting, f"{name}.{key} has no docstring"
