"""Requests and responses as values. Bodies are bytes, or a Body that streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from edgeproxy.http.headers import Headers, add, serialize

if TYPE_CHECKING:
    from edgeproxy.http.body import Body

UNKNOWN_LENGTH: Final = -1

# A body filter takes a chunk and returns what may go on; called with b"" once, at the end, it returns the rest.
BodyFilter = Callable[[bytes], bytes]


class Request:
    """A request that passed the framing checks.

    ``target`` is the path with its query as it goes to the origin, dot segments removed; ``path`` the same for
    matching, percent-decoded where that changes no meaning (RFC 3986 §6.2.2); ``host`` the authority's host in lower
    case without its port; ``authority`` with it, unless it is the scheme's own. All bytes. ``version`` is b"1.1",
    b"1.0", b"2" or b"3"; ``length`` the body's in bytes, 0 for none, UNKNOWN_LENGTH if it ends when it ends. ``plain``
    if no field frames it, steers the connection or claims to speak for another client: nobody need look for one.
    """

    __slots__ = (
        "authority",
        "body",
        "headers",
        "host",
        "length",
        "method",
        "path",
        "plain",
        "query",
        "scheme",
        "target",
        "version",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        scheme: bytes = b"http",
        authority: bytes = b"",
        host: bytes = b"",
        path: bytes | None = None,
        query: bytes = b"",
        version: bytes = b"1.1",
        length: int = 0,
        body: Body | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.scheme = scheme
        self.authority = authority
        self.host = host
        self.path = target if path is None else path
        self.query = query
        self.version = version
        self.length = length
        self.body = body
        self.plain = False

    def with_headers(self, headers: Headers) -> Request:
        """The same request with other fields and no body."""
        return Request(
            self.method,
            self.target,
            headers,
            self.scheme,
            self.authority,
            self.host,
            self.path,
            self.query,
            self.version,
        )

    def __repr__(self) -> str:
        return (
            f"<Request {self.method.decode()} {self.scheme.decode()}://{self.authority.decode()}{self.target.decode()}>"
        )


TYPES_KEPT: Final = 1024
TYPE_LONGEST: Final = 128
_types: Final[dict[bytes, bytes]] = {}  # Content-Type values, for answers of one type to share one object


class FieldBlock:
    """Header fields that never change, with their wire form ready made: what a stored answer is served from. ``block``:
    the same for HTTP/2, which whoever needs it first makes. ``tags``: what a stored answer is purged by, whether or not
    its fields say so."""

    __slots__ = ("block", "complete", "content_type", "fields", "qpack", "seal", "tags", "wire")

    def __init__(self, fields: Headers) -> None:
        self.fields = fields
        self.wire = serialize(fields)
        self.qpack = b""  # the lines as HTTP/3 writes them, once it has
        self.block: bytes | None = None
        self.content_type = shared_type(fields.get(b"content-type", b""))
        self.tags: tuple[bytes, ...] = ()
        self.seal: object = None  # of the stage that was seen to have set its fields here
        self.complete = b"date" in fields and b"content-length" not in fields  # nothing to add, nothing to leave out


def shared_type(told: bytes) -> bytes:
    """A Content-Type, as the same object each time while not too many are known: who counts compares identity first."""
    if len(_types) < TYPES_KEPT and len(told) <= TYPE_LONGEST:
        return _types.setdefault(told, told)
    return _types.get(told, told)


NO_FIELDS: Final = FieldBlock({})


class Response:
    """An answer. Its fields stand in layers: a shared block that is never written to (a stored answer's), a second one
    of other names (``stamp``: what changes from one answer to the next), and its own on top, so that a stage can change
    one answer and never the stored one. Stages use the methods; the layers are there for what writes heads.
    """

    __slots__ = ("body", "filters", "own", "shared", "stamp", "status")

    def __init__(
        self,
        status: int,
        headers: Headers | None = None,
        body: bytes | Body = b"",
        shared: FieldBlock = NO_FIELDS,
        stamp: FieldBlock = NO_FIELDS,
    ) -> None:
        self.status = status
        self.body = body
        self.filters: list[BodyFilter] | None = None
        self.own: Headers = {} if headers is None else headers
        self.shared = shared
        self.stamp = stamp

    def get(self, name: bytes, default: bytes | None = None) -> bytes | None:
        value = self.own.get(name)
        if value is None and self.stamp is not NO_FIELDS:
            value = self.stamp.fields.get(name)
        if value is None and self.shared is not NO_FIELDS:
            value = self.shared.fields.get(name)
        return default if value is None else value

    def set(self, name: bytes, value: bytes) -> None:
        """Set a field in place of what stood there; ``name`` in lower case."""
        if name in self.shared.fields or name in self.stamp.fields:
            self._flatten()
        self.own[name] = value

    def add(self, name: bytes, value: bytes) -> None:
        """Add a field line beside what stands there."""
        if name in self.shared.fields or name in self.stamp.fields:
            self._flatten()
        add(self.own, name, value)

    def drop(self, name: bytes) -> None:
        if name in self.shared.fields or name in self.stamp.fields:
            self._flatten()
        if name in self.own:
            del self.own[name]

    def headers(self) -> Headers:
        """All fields, as a dict of the caller's own."""
        return self.shared.fields | self.stamp.fields | self.own

    def replace(self, headers: Headers) -> None:
        """Take ``headers`` in place of all fields."""
        self.shared = self.stamp = NO_FIELDS
        self.own = headers

    def wire(self) -> bytes:
        """The field lines as HTTP/1.1 writes them."""
        return b"%b%b%b" % (self.shared.wire, self.stamp.wire, serialize(self.own))

    def filter(self, feed: BodyFilter) -> None:
        """Put a body filter behind those already there; whoever adds one also drops Content-Length."""
        if self.filters is None:
            self.filters = []
        self.filters.append(feed)

    def _flatten(self) -> None:
        self.replace(self.headers())

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.headers()!r}>"
