"""The pages' words in several languages, and which of them a visitor reads."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Final

import yaml

from edgeproxy.http.headers import members

LANGUAGES: Final = ("ar", "de", "en", "es", "fr", "ja", "pt", "zh")
_FILE: Final = Path(__file__).parent / "words.yaml"
_RANGE: Final = re.compile(
    rb"([a-z]{1,8})(?:-[a-z0-9]{1,8})*(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?"  # RFC 9110 §12.5.4
)
_LONGEST: Final = 256  # bytes of the field that are read; people list a handful of languages


def read_words() -> dict[str, dict[str, str]]:
    """Phrase by name, by language."""
    words: dict[str, dict[str, str]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return words


def choose(accepted: bytes, known: Container[str], default: str) -> str:
    """The language out of ``known`` that an Accept-Language field likes best, by its primary subtag (the look-up of
    RFC 4647 §3.4); the one named first of those it likes equally, as browsers list them."""
    best, language = 0.0, default
    for member in members(accepted[:_LONGEST].lower()):
        match = _RANGE.fullmatch(member)
        if match is not None:
            weight = 1.0 if match[2] is None else float(match[2])
            primary = match[1].decode()
            if weight > best and primary in known:
                best, language = weight, primary
    return language
