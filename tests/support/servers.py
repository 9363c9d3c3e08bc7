"""Every server the tests share, under one name."""

from tests.support.origin import Hang, RecordedRequest, RecordingOrigin, always_ok, answer
from tests.support.ports import accepts, free_port, wait_until
from tests.support.processes import EdgeProcess, NginxServer, resident

__all__ = [
    "EdgeProcess",
    "Hang",
    "NginxServer",
    "RecordedRequest",
    "RecordingOrigin",
    "accepts",
    "always_ok",
    "answer",
    "free_port",
    "resident",
    "wait_until",
]
