"""Endpoints from a file: YAML or JSON, the same entries that a pool's ``endpoints`` has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgeproxy.config.document import MAX_BYTES, Document
from edgeproxy.config.errors import ConfigErrors, key_path
from edgeproxy.config.phrases import nearest, phrase
from edgeproxy.config.pools import MOST_ENDPOINTS, EndpointConfig, Endpoints, PoolConfig

_LIST = TypeAdapter(Endpoints)


def read(path: str, config: PoolConfig) -> tuple[EndpointConfig, ...]:
    """The endpoints in a pool's file. Raises ValueError, which says where and what is wrong."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES // 1000} KB")
    try:
        return parse(content.decode(), path, config)
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None


def parse(text: str, path: str, config: PoolConfig) -> tuple[EndpointConfig, ...]:
    """The endpoints in a file's ``text``. Raises ValueError."""
    data = _json(text, path) if path.endswith(".json") else _yaml(text, path)
    if not isinstance(data, list):
        raise ValueError(f"{path} holds no list of endpoints")
    try:
        entries = _LIST.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        of_entry = first.copy()
        of_entry["loc"] = first["loc"][1:]
        raise ValueError(f"{path}: {key_path(first['loc'])}: {phrase(of_entry, EndpointConfig)}") from None
    if len(entries) + len(config.endpoints) > MOST_ENDPOINTS:
        raise ValueError(f"{path}: a pool has at most {MOST_ENDPOINTS} endpoints")
    if not entries and not config.endpoints:
        raise ValueError(f"{path} holds no endpoints, and the pool has no others")
    for index, entry in enumerate(entries):
        if entry.region is not None and entry.region not in config.regions:
            known = nearest(entry.region, config.regions)
            raise ValueError(f"{path}: [{index}].region: there is no region {entry.region!r}{known}")
    return entries


def _json(text: str, path: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):  # numbers of more digits than are taken
        raise ValueError(f"{path}: not JSON that is taken here") from None


def _yaml(text: str, path: str) -> Any:
    """Without variables: who writes this file may not be who runs the node."""
    try:
        document = Document(text, path, {})
    except ConfigErrors as error:
        raise ValueError(str(error.errors[0])) from None
    if document.errors:
        raise ValueError(str(document.errors[0]))
    return document.data
