"""The error log: the standard library's logging to stderr, one line an event whatever the message holds."""

from __future__ import annotations

import logging
import time
from typing import Literal


class OneLine(logging.Formatter):
    """``2026-01-31T12:00:00.123Z warning worker[17] text``; a traceback follows on the same line, escaped."""

    converter = staticmethod(time.gmtime)

    def __init__(self, who: str) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(level)s " + who + "[%(process)d] %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.level = record.levelname.lower()
        line = super().format(record)
        if line.isprintable():
            return line
        return "".join([char if char.isprintable() else char.encode("unicode_escape").decode() for char in line])


def configure(level: Literal["debug", "info", "warning", "error"], who: str) -> None:
    """Send what is logged at ``level`` or above to stderr; ``who`` names the process in each line. May be called again
    with another level."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(who))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
