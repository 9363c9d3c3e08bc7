"""One version of a model, as those who ask it see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgeproxy.inference.manifest import Manifest, VersionSpec
from edgeproxy.tensors import Tensors

if TYPE_CHECKING:
    from edgeproxy.inference.session import Session


class Version(NamedTuple):
    """A version that serves. ``number``: as text. ``seconds``: CPU time of one run, as its trial measured it.
    ``inline``: whether it runs at once, on the loop."""

    manifest: Manifest
    number: str
    spec: VersionSpec
    session: Session
    seconds: float
    inline: bool


class Standing(NamedTuple):
    """What became of a version that was found: ``state`` is ``ready``, ``loading``, ``refused`` or ``replaced``;
    ``reason`` why it is not ready, for whoever runs the node."""

    model: str
    number: str
    state: str
    reason: str


class Outcome(NamedTuple):
    """An answer: by output, who gave it (``edge``, ``regional``, ``central``, ``default``), how many seconds it took,
    and whether it was kept from an earlier, equal question."""

    tensors: Tensors
    model: str
    version: str
    by: str
    seconds: float
    kept: bool = False


class AskError(Exception):
    """There is no outcome. ``reason`` is one of REASONS; the message is for whoever asked, and holds no secret."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


# Why there is no outcome: no such model or version, tensors it does not take, values at which it fails (said only to
# those who ask this node alone), or nobody who could answer in time.
REASONS = ("unknown", "tensors", "failed", "unanswered")
