"""What comes of the bytes of one HTTP/2 connection. Each event's class is its kind.

HTTP/3 has :class:`Fields`, :class:`Trailers` and :class:`Priority` too.
"""

from __future__ import annotations

from edgeproxy.http2.frames import Code, name_of

FieldList = list[tuple[bytes, bytes]]


class Event:
    """``stream``: its identifier; HTTP/2 has 0 for the connection."""

    __slots__ = ("stream",)

    def __init__(self, stream: int) -> None:
        self.stream = stream

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream}>"


class Fields(Event):
    """A head: a request's, or an answer's, interim ones too. ``ended``: nothing follows it."""

    __slots__ = ("ended", "fields")

    def __init__(self, stream: int, fields: FieldList, ended: bool) -> None:
        self.stream = stream
        self.fields = fields
        self.ended = ended

    def __repr__(self) -> str:
        return f"<Fields {self.stream} {self.fields}{' ended' if self.ended else ''}>"


class TooLarge(Event):
    """A head with more fields than are borne; it was read, and none of it is kept."""

    __slots__ = ("ended",)

    def __init__(self, stream: int, *, ended: bool) -> None:
        super().__init__(stream)
        self.ended = ended


class Data(Event):
    """A piece of a body. ``size`` is what it took of the windows, padding too: that much is to be given back."""

    __slots__ = ("data", "ended", "size")

    def __init__(self, stream: int, data: bytes, size: int, *, ended: bool) -> None:
        super().__init__(stream)
        self.data = data
        self.size = size
        self.ended = ended

    def __repr__(self) -> str:
        return f"<Data {self.stream} {len(self.data)} B{' ended' if self.ended else ''}>"


class Trailers(Event):
    """The fields behind a body, which they end."""

    __slots__ = ("fields",)

    def __init__(self, stream: int, fields: FieldList) -> None:
        super().__init__(stream)
        self.fields = fields


class Reset(Event):
    """The stream was broken off: by the peer, or, with ``ours``, here, for what the peer did on it."""

    __slots__ = ("code", "ours")

    def __init__(self, stream: int, code: Code, *, ours: bool = False) -> None:
        super().__init__(stream)
        self.code = code
        self.ours = ours

    def __repr__(self) -> str:
        return f"<Reset {self.stream} {name_of(self.code)}{' by us' if self.ours else ''}>"


class Window(Event):
    """More may be sent on the stream; for stream 0 on the connection, of use to streams that wait for that alone."""

    __slots__ = ()


class Priority(Event):
    """A PRIORITY_UPDATE: the stream's new ``priority`` field (RFC 9218 §7). The stream may not have begun."""

    __slots__ = ("value",)

    def __init__(self, stream: int, value: bytes) -> None:
        super().__init__(stream)
        self.value = value


class Answered(Event):
    """A PING came back."""

    __slots__ = ()


class Leaving(Event):
    """The peer's GOAWAY: ``last`` is the last stream it may have acted on."""

    __slots__ = ("code", "last")

    def __init__(self, last: int, code: Code) -> None:
        super().__init__(0)
        self.last = last
        self.code = code


class Ended(Event):
    """The connection broke: what the peer did was no HTTP/2, or too much of it. Write ``out`` and close."""

    __slots__ = ("code", "detail", "flood")

    def __init__(self, code: Code, detail: str, flood: str = "") -> None:
        super().__init__(0)
        self.code = code
        self.detail = detail
        self.flood = flood

    def __repr__(self) -> str:
        return f"<Ended {name_of(self.code)} {self.detail}>"
