"""What comes of the bytes of one HTTP/3 connection beside what HTTP/2 has too. Each event's class is its kind."""

from __future__ import annotations

from edgeproxy.http2.events import Event


class Data(Event):
    """A piece of a body, b"" where only its end is told."""

    __slots__ = ("data", "ended")

    def __init__(self, stream: int, data: bytes, *, ended: bool) -> None:
        super().__init__(stream)
        self.data = data
        self.ended = ended

    def __repr__(self) -> str:
        return f"<Data {self.stream} {len(self.data)} B{' ended' if self.ended else ''}>"


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
