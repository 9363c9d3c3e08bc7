"""What a peer of HTTP/2 can do wrong: to its connection, to one stream, or by asking for too much (RFC 9113 §5.4)."""

from __future__ import annotations

from edgeproxy.http2.frames import Code, name_of


class ConnectionFailure(Exception):  # noqa: N818 - the peer's doing
    """The connection cannot go on (§5.4.1). ``flood``: the kind of flood it was, "" if it was none."""

    def __init__(self, code: Code, detail: str, flood: str = "") -> None:
        super().__init__(f"{name_of(code)}: {detail}")
        self.code = code
        self.detail = detail
        self.flood = flood


class StreamFailure(Exception):  # noqa: N818 - likewise
    """One stream cannot go on (§5.4.2)."""

    def __init__(self, stream: int, code: Code, detail: str) -> None:
        super().__init__(f"{name_of(code)} on stream {stream}: {detail}")
        self.stream = stream
        self.code = code
        self.detail = detail


class Refused(Exception):  # noqa: N818 - no error: a limit that was met
    """No stream may be opened now: the peer has its most, is leaving, or has left."""
