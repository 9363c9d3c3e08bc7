"""The JSON Schema of the installed build: the engine's configuration with every installed stage's own in its place."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from edgeproxy.config.schema import Config
from edgeproxy.config.stages import Discovered

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(discovered: Discovered) -> dict[str, Any]:
    """For editors and checkers. What a stage requires is not demanded of a route, which may have it from above."""
    stages = [(name, discovered.stages[name]) for name in discovered.order]
    refs, document = models_json_schema(
        [(Config, "validation"), *((stage.Config, "validation") for _, stage in stages)],
        title="edgeproxy configuration",
    )
    definitions = document["$defs"]
    everywhere: dict[str, Any] = {}
    on_route: dict[str, Any] = {}
    for name, stage in stages:
        ref = refs[stage.Config, "validation"]
        described = {"description": (stage.__doc__ or name).strip().partition("\n")[0]}
        everywhere[name] = {**described, "anyOf": [ref, {"type": ["boolean", "null"]}]}
        settings = _definition(definitions, ref)
        partial = {key: value for key, value in settings.items() if key not in {"required", "title", "description"}}
        on_route[name] = {**described, "anyOf": [partial, {"type": ["boolean", "null"]}]}
    root = refs[Config, "validation"]
    _describe_stages(_definition(definitions, root), everywhere)
    _describe_stages(definitions["RouteConfig"], on_route)
    names = {refs[stage.Config, "validation"]["$ref"]: f"#/$defs/{name}" for name, stage in stages}
    names[root["$ref"]] = "#/$defs/Config"
    renamed: dict[str, Any] = _renamed({"$schema": DRAFT, **document, **root}, names)
    renamed["$defs"] = {
        names.get(f"#/$defs/{name}", name).removeprefix("#/$defs/"): definition
        for name, definition in sorted(renamed["$defs"].items())
    }
    return renamed


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The schema with its references renamed: a stage's settings are called as the stage is."""
    if isinstance(value, dict):
        return {key: names.get(of, of) if key == "$ref" else _renamed(of, names) for key, of in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def _definition(definitions: dict[str, Any], ref: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = definitions[ref["$ref"].removeprefix("#/$defs/")]
    return found


def _describe_stages(owner: dict[str, Any], stages: dict[str, Any]) -> None:
    shape = owner["properties"]["middleware"]
    shape["properties"] = stages
    shape["additionalProperties"] = False
