"""The paths of the API below its prefix: which of them asks for what, and by which methods."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_READ: Final = (b"GET", b"HEAD")
_ASK: Final = (b"POST",)

METHODS: Final[dict[str, tuple[bytes, ...]]] = {
    "server": _READ,
    "live": _READ,
    "ready": _READ,
    "index": _ASK,
    "model": _READ,
    "model ready": _READ,
    "infer": _ASK,
    "predict": _ASK,
}

_OF_THE_SERVER: Final = {
    b"": "server",
    b"/": "server",
    b"/health/live": "live",
    b"/health/ready": "ready",
    b"/repository/index": "index",
}
_OF_A_MODEL: Final = re.compile(
    rb"/models/([A-Za-z0-9][A-Za-z0-9_.-]{0,63})(?:/versions/([1-9][0-9]{0,8}))?(?:/(ready|infer|predict))?"
)
_ENDS: Final = {None: "model", b"ready": "model ready", b"infer": "infer", b"predict": "predict"}


class Call(NamedTuple):
    """What a path asks for: a key of :data:`METHODS`, and of which model; ``version`` is "" for the one in service."""

    action: str
    model: str = ""
    version: str = ""


def find(path: bytes) -> Call | None:
    """``path``: what stands behind the prefix. None if there is nothing there."""
    action = _OF_THE_SERVER.get(path)
    if action is not None:
        return Call(action)
    match = _OF_A_MODEL.fullmatch(path)
    if match is None:
        return None
    model, version, end = match.groups()
    return Call(_ENDS[end], model.decode(), (version or b"").decode())
