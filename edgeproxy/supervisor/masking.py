"""The running configuration as it may be shown: every secret masked."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

MASK = "***"

# A key one of whose words is here, or that ends in "key" after another word, holds a secret. Too much is masked rather
# than too little; header names that carry credentials are among them.
_SECRET_WORDS = frozenset(
    (
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "secret",
        "secrets",
        "token",
        "tokens",
    )
)
_SECRET_KEYS = frozenset(("api_key", "apikey", "hmac_key", "private_key", "shared_key", "signing_key", "x_api_key"))
_WORD = re.compile(r"[a-z0-9]+")


def masked(value: Any, key: str = "") -> Any:
    """A copy of plain values (maps, lists, scalars) without the secrets. ``key`` is what ``value`` stands under."""
    if value is None or isinstance(value, bool):
        return value
    if _is_secret(key):
        return [MASK] * len(value) if isinstance(value, list | tuple) else MASK
    if isinstance(value, dict):
        return {name: masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return _without_userinfo(value) if isinstance(value, str) else value


def _is_secret(key: str) -> bool:
    words = _WORD.findall(key.lower())
    return not _SECRET_WORDS.isdisjoint(words) or "_".join(words) in _SECRET_KEYS


def _without_userinfo(text: str) -> str:
    """A URL without the user and password in it; other text as it is."""
    if "://" not in text or "@" not in text:
        return text
    try:
        url = urlsplit(text)
    except ValueError:
        return text
    return url._replace(netloc=f"{MASK}@{url.netloc.rpartition('@')[2]}").geturl() if "@" in url.netloc else text
