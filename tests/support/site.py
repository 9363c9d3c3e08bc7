"""A site behind the proxy: an origin that answers by target, and its requests in few words."""

from __future__ import annotations

from typing import Any

from tests.support.origin import Answer, RecordedRequest, RecordingOrigin, Script, always_ok

HOST = b"Host: a.example"


def request(target: bytes = b"/", *fields: bytes, method: bytes = b"GET", version: bytes = b"1.1") -> bytes:
    """A request head; ``fields`` are lines without their CRLF."""
    return b"\r\n".join((b"%b %b HTTP/%b" % (method, target, version), HOST, *fields)) + b"\r\n\r\n"


def config(origin: str, **more: Any) -> dict[str, Any]:
    """The smallest configuration: everything goes to ``origin``, an endpoint's URL; ``more`` are further sections."""
    return {"pools": {"site": {"endpoints": [origin]}}, "routes": [{"name": "all", "pool": "site"}], **more}


class Site(RecordingOrigin):
    """Answers what :meth:`on` was told for a target, else 200 "ok" that may not be stored."""

    def __init__(self, **options: Any) -> None:
        super().__init__(self._tell, **options)
        self._answers: dict[bytes, Answer] = {}

    def on(self, target: bytes, answer: bytes | Answer) -> bytes:
        """Answer requests for ``target`` with these bytes, or as this function says; returns the target."""
        self._answers[target] = answer if callable(answer) else lambda _: answer
        return target

    def to(self, target: bytes) -> list[RecordedRequest]:
        """The requests seen for a target."""
        return [request for request in self.requests if request.target == target]

    def _tell(self, request: RecordedRequest) -> Script:
        return self._answers.get(request.target, always_ok)(request)
