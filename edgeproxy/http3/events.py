"""What comes of the bytes of one HTTP/3 connection. Each event's class is its kind."""

from __future__ import annotations

FieldList = list[tuple[bytes, bytes]]


class Event:
    """``stream``: the request stream's number."""

    __slots__ = ("stream",)

    def __init__(self, stream: int) -> None:
        self.stream = stream

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream}>"


class Fields(Event):
    """A request's head. ``ended``: nothing follows it."""

    __slots__ = ("ended", "fields")

    def __init__(self, stream: int, fields: FieldList, ended: bool) -> None:
        self.stream = stream
        self.fields = fields
        self.ended = ended

    def __repr__(self) -> str:
        return f"<Fields {self.stream} {self.fields}{' ended' if self.ended else ''}>"


class Data(Event):
    """A piece of a body, b"" where only its end is told."""

    __slots__ = ("data", "ended")

    def __init__(self, stream: int, data: bytes, *, ended: bool) -> None:
        super().__init__(stream)
        self.data = data
        self.ended = ended

    def __repr__(self) -> str:
        return f"<Data {self.stream} {len(self.data)} B{' ended' if self.ended else ''}>"


class Trailers(Event):
    """The fields behind a body."""

    __slots__ = ("fields",)

    def __init__(self, stream: int, fields: FieldList) -> None:
        super().__init__(stream)
        self.fields = fields


class TooLarge(Event):
    """A field section of more bytes than are borne. Nothing more comes of the stream."""

    __slots__ = ()


class Broken(Event):
    """The peer broke the rules on this stream: it is to be reset with ``code``. Nothing more comes of it."""

    __slots__ = ("code",)

    def __init__(self, stream: int, code: int) -> None:
        super().__init__(stream)
        self.code = code


class Unwanted(Event):
    """A unidirectional stream of a type nobody knows: the peer may as well stop (RFC 9114 §6.2)."""

    __slots__ = ()


class Priority(Event):
    """A PRIORITY_UPDATE: the stream's new ``priority`` field (RFC 9218 §7.2). The stream may not have begun."""

    __slots__ = ("value",)

    def __init__(self, stream: int, value: bytes) -> None:
        super().__init__(stream)
        self.value = value
