"""Values of the configuration that are words: names, hosts, paths, patterns, stage maps. Numbers are in units.py."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)

from edgeproxy.errors import EdgeError
from edgeproxy.http.target import parse_target

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def _many(value: Any) -> Any:
    return [value] if isinstance(value, str | int | float) else value


def _off(value: Any) -> Any:
    """`off`, which YAML 1.1 reads as false, leaves a section out; `on` takes it with its defaults."""
    if value is False or value == "off":
        return None
    return {} if value is True else value


def _workers(value: Any) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        if isinstance(value, bool) or not 1 <= int(value) <= 256:
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise ValueError("must be a whole number from 1 to 256, or auto") from None


def _stages(value: Any) -> dict[str, dict[str, Any] | bool]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a map from stage name to its settings, or off")
    return {str(name): _stage(settings) for name, settings in value.items()}


def _stage(settings: Any) -> dict[str, Any] | bool:
    if settings is None or settings is True or settings == "on":
        return True
    if settings is False or settings == "off":
        return False
    return dict(settings) if isinstance(settings, Mapping) else {"": settings}


def _host(value: Any) -> str:
    """A host to match, in lower case and as it comes on the wire (IDNA)."""
    text = str(value).strip().lower().rstrip(".")
    bare = text.removeprefix("*.")
    if bare.startswith("[") and bare == text:
        return text
    try:
        encoded = bare if bare.isascii() else bare.encode("idna").decode()
    except UnicodeError:
        encoded = ""
    if not encoded or not all(_LABEL.fullmatch(label) for label in encoded.split(".")):
        raise ValueError(f"{value!r} is not a host; write it like example.com or *.example.com, without a port")
    return encoded if bare == text else "*." + encoded


def _path(value: Any) -> str:
    text = str(value)
    if not text.startswith("/") or re.search(r"[\s?#\x00-\x1f]", text):
        raise ValueError(f"{value!r} is not a path; it begins with / and has no query")
    try:
        parse_target(text.encode())
    except EdgeError as error:
        raise ValueError(f"{value!r} is not a path: {error.detail}") from None
    return text


def _regex(value: Any) -> str:
    try:
        re.compile(str(value).encode())
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None
    return str(value)


def _file(value: str, info: ValidationInfo) -> str:
    """An absolute path to a file that is there; relative ones start at the validation context's ``folder``."""
    folder = (info.context or {}).get("folder")
    if folder is None:
        return value
    path = pathlib.Path(folder, value).absolute()
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    if not os.access(path, os.R_OK):
        raise ValueError(f"this file may not be read: {path}")
    return str(path)


def _directory(value: str, info: ValidationInfo) -> str:
    """An absolute path to a folder that is there; relative ones start at the validation context's ``folder``."""
    folder = (info.context or {}).get("folder")
    if folder is None:
        return value
    path = pathlib.Path(folder, value).absolute()
    if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        raise ValueError(f"no folder that may be read: {path}")
    return str(path)


def _folder(value: str) -> str:
    """A folder that need not be there yet; a cache has no place that goes without saying."""
    if not pathlib.PurePath(value).is_absolute():
        raise ValueError(f"{value!r} is not an absolute path")
    return value


def _method(value: Any) -> str:
    text = str(value).upper()
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{value!r} is not a method")
    return text


def _field_name(value: Any) -> str:
    if not _TOKEN.fullmatch(str(value)):
        raise ValueError(f"{value!r} is not a field name")
    return str(value).lower()


def _host_name(value: Any) -> str:
    name = _host(value)
    if name.startswith("*."):
        raise ValueError(f"{value!r} is not one name; a pattern has no meaning here")
    return name


def _pool_host(value: Any) -> str:
    return str(value) if value in {"preserve", "endpoint"} else _host_name(value)


def _country(value: Any) -> str:
    text = "NO" if value is False else str(value).upper()  # YAML 1.1 reads Norway's code as a no
    if not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise ValueError(f"{value!r} is not a country; write its two letters (ISO 3166-1): DE, US")
    return text


def _long(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < 32:
        raise ValueError("the secret has at least 32 bytes; `openssl rand -hex 32` makes one")
    return secret


def is_protected(url: str) -> bool:
    """Nobody on the way can change what this URL answers: https, or it does not leave the machine."""
    parts = urlsplit(url)
    try:
        return parts.scheme == "https" or parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def writable(folder: str, key: str) -> pathlib.Path:
    """A folder that is there and may be written, or can be made. Raises ValueError, which begins with the ``key``."""
    path = pathlib.Path(folder)
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{key}: {there} is no folder that may be written")
    return path


Many = BeforeValidator(_many)
Off = BeforeValidator(_off)
Name = Annotated[str, Field(pattern=NAME)]
Host = Annotated[str, BeforeValidator(_host)]
HostName = Annotated[str, BeforeValidator(_host_name)]
HostToSend = Annotated[str, BeforeValidator(_pool_host)]
Path = Annotated[str, BeforeValidator(_path)]
File = Annotated[str, Field(min_length=1), AfterValidator(_file)]
Directory = Annotated[str, Field(min_length=1), AfterValidator(_directory)]
FolderPath = Annotated[str, Field(min_length=1), AfterValidator(_folder)]
Regex = Annotated[str, BeforeValidator(_regex)]
Method = Annotated[str, BeforeValidator(_method)]
Country = Annotated[str, BeforeValidator(_country)]
FieldName = Annotated[str, BeforeValidator(_field_name)]
LongSecret = Annotated[SecretStr, AfterValidator(_long)]
Workers = Annotated[
    int | Literal["auto"],
    PlainValidator(_workers),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 256}, {"const": "auto"}]}),
]
StageMap = Annotated[
    dict[str, dict[str, Any] | bool],
    PlainValidator(_stages),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["object", "boolean", "null"]}}),
]
