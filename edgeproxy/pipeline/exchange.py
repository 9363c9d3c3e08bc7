"""One request and its answer, as every stage sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request, Response

if TYPE_CHECKING:
    from edgeproxy.config.snapshot import Route
    from edgeproxy.pipeline.improvement import Improvement
    from edgeproxy.routing.split import Arms


class TLSInfo(NamedTuple):
    """What the handshake settled. ``client_certificate`` is DER, None if the client showed none; ``ja4`` the hello's
    fingerprint, "" where none was taken."""

    version: str
    cipher: str
    server_name: str
    client_certificate: bytes | None
    ja4: str = ""


class Place(NamedTuple):
    """Where an address is said to be: an ISO 3166-1 country, an ISO 3166-2 subdivision (without the country), a city,
    the number of its autonomous system (RFC 4893) and whose that is; "" and 0 for what is not known. ``at``: latitude
    and longitude in degrees, north and east of 0."""

    country: str = ""
    region: str = ""
    city: str = ""
    asn: int = 0
    organisation: str = ""
    at: tuple[float, float] | None = None


NOWHERE: Final = Place()
NOTHING: Final[frozenset[bytes]] = frozenset()


class Peer(NamedTuple):
    """Who is at the other end of the connection: the address PROXY protocol told if it was trusted, else the socket's.

    ``address`` is the textual IP ("" on a Unix socket); ``via`` the socket's own address when PROXY protocol spoke.
    """

    address: str
    port: int
    via: str
    local: str
    tls: TLSInfo | None


class Detour(Protocol):
    """A way to the origin with something to be done on it: how the cache takes part in a fetch. ``keeps``: what comes
    that way may be kept."""

    keeps: ClassVar[bool]

    async def fetch(
        self,
        x: Exchange,
        fetch: Callable[[Exchange], Awaitable[Response]],
        store: Callable[[Exchange, Response], Awaitable[None]],
    ) -> Response:
        """The exchange's answer; ``fetch`` and ``store`` are the pipeline's phases. Raises EdgeError."""


# Passes an interim answer on: its status, 102 to 199, and its fields.
Interim = Callable[[int, Headers], None]


class Exchange:
    """One request and its answer.

    Class-level defaults stand for what most exchanges never set, so that making one stays cheap.

    id: request id, b"" until the request_id stage gave one. client: the client's address as text; the peer's until
    client_address found a better one. claims: what a verified token says. tags: words for the log, added by stages.
    place: where the client's address is. feeds: the names of the reputation feeds it is in. identity: who it proved to
    be (an API key's name, a user, a certificate's subject), "" if nobody. agent: the crawler or agent it was verified
    to be. score: how likely it is a program, 0 to 100; shape: a hash of its field names' order. treatment: what the
    checks want done with it, "" for nothing, "limit" or "challenge"; cleared: it bears a clearance for this. alarm: the
    node's or the route's state, 0 normal, 1 elevated, 2 attack.
    arrival: the rate limiter's theoretical arrival time for this key, monotonic seconds, 0.0 if nothing was counted;
    counted: where it has several limits or one of another kind, the place of each that counted the exchange in their
    list, the key it went by, and its arrival time. held: the same of the concurrency limits it holds a place in.
    aside: it is a sub-exchange that no client waits for, whose end no stage hears of.
    asked: the target as the client wrote it, where a stage has put another in its place, else b"". facet: which form
    of the resource is asked for, in one canonical spelling, b"" for the resource itself; the cache's key bears it.
    settled: request fields, in lower case, whose meaning the facet has taken in, so that what is kept under it need not
    be told apart by them. key: the cache's for it, b"" where the cache was not asked. arms: which arm of each split it
    is in, None where nothing is split. keep: False if the answer is not to be kept, whatever it says. improvement: how
    a better copy of what is kept is made.
    verdict: what the cache said, as Cache-Status parameters (RFC 9211), e.g. b"hit" or b"fwd=uri-miss; stored".
    wanted: the address of the endpoint that it is to go to if that is fit, b"" for any.
    endpoint: the origin endpoint that answered. choice: where a model is asked for it, what was known of it as it was
    chosen (balance.rows), and the seconds to the head of its answer. status: the answer's, 0 if there is none. error:
    the metric label of the error it ended with. grpc: the status a gRPC call was answered with, in digits. sent: body
    bytes written to the client. interim: passes 1xx answers on, None while nobody could take them. started and ended:
    monotonic seconds. upgraded: the connection now carries another protocol. content_type: the answer's, there from
    when the exchange is logged on; of a kept answer the one it was kept with.
    """

    route: Route  # there from when the exchange begins
    id: bytes = b""
    bot: str = ""
    content_type: bytes = b""
    arrival: float = 0.0
    counted: tuple[tuple[int, bytes, float], ...] = ()
    held: tuple[tuple[int, bytes], ...] = ()
    aside: bool = False
    asked: bytes = b""
    facet: bytes = b""
    settled: frozenset[bytes] = NOTHING
    key: bytes = b""
    arms: Arms | None = None
    keep: bool = True
    improvement: Improvement | None = None
    tags: tuple[str, ...] = ()
    place: Place = NOWHERE
    feeds: tuple[str, ...] = ()
    identity: str = ""
    agent: str = ""
    score: int = 0
    shape: str = ""
    treatment: str = ""
    cleared: bool = False
    alarm: int = 0
    verdict: bytes = b""
    wanted: bytes = b""
    endpoint: str = ""
    choice: tuple[float, ...] = ()
    tries: int = 0
    status: int = 0
    error: str = ""
    grpc: str = ""
    proxy_status: bytes = b""
    sent: int = 0
    ended: float = 0.0
    upgraded: bool = False

    def __init__(self, request: Request, peer: Peer, started: float) -> None:
        self.request = request
        self.peer = peer
        self.client = peer.address
        self.started = started
        self.lookup: Detour | None = None
        self.response: Response | None = None
        self.claims: Mapping[str, Any] | None = None
        self.interim: Interim | None = None

    def fork(self, request: Request) -> Exchange:
        """A sub-exchange for the same client and route, which may outlive this one; it is not logged."""
        own = Exchange(request, self.peer, self.started)
        own.route, own.interim = self.route, self.interim
        own.client, own.id, own.claims, own.bot, own.tags = self.client, self.id, self.claims, self.bot, self.tags
        own.place, own.identity = self.place, self.identity
        own.agent, own.cleared = self.agent, self.cleared
        own.facet, own.settled, own.arms = self.facet, self.settled, self.arms
        own.wanted = self.wanted
        return own

    def __repr__(self) -> str:
        return f"<Exchange {self.request!r} {self.response!r}>"
