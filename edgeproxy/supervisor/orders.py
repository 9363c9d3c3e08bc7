"""What the body of ``POST /purge`` asks for."""

from __future__ import annotations

from typing import Any

from edgeproxy.cache.purge import KINDS, Purge, named

MOST = 1_000  # purges of one order

_WANTED = (
    'wanted: {"url": "https://host/path"}, or "prefix", "host" or "tag" with a text, or "all": true; beside it '
    f'"soft": true or false; many at once as {{"purges": [{{…}}, …]}}, at most {MOST}'
)


def purges_of(order: dict[str, Any], at: float) -> list[Purge]:
    """The purges an order names, heard of at this wall time. Raises ValueError with what is wrong."""
    if "purges" not in order:
        return [_purge(order, at)]
    many = order["purges"]
    if set(order) != {"purges"} or not isinstance(many, list) or not 0 < len(many) <= MOST:
        raise ValueError(_WANTED)
    return [_purge(one, at) for one in many]


def _purge(order: Any, at: float) -> Purge:
    if not isinstance(order, dict):
        raise ValueError(_WANTED)
    kinds = [kind for kind in KINDS if kind in order]
    soft = order.get("soft", False)
    if len(kinds) != 1 or set(order) - {*kinds, "soft"} or not isinstance(soft, bool):
        raise ValueError(_WANTED)
    (kind,), value = kinds, order[kinds[0]]
    if value is not True if kind == "all" else not (isinstance(value, str) and value):
        raise ValueError(_WANTED)
    return named(kind, "" if kind == "all" else value, at, soft=soft)
