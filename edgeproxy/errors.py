"""What can go wrong with an exchange, and the one table that says what each kind means outside.

An error is raised once, where it is noticed. Status, log level, metric label, Proxy-Status token (RFC 9209 §2.3)
and whether another try may help all come from its kind.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

Source = Literal["client", "edge", "origin"]


class Meaning(NamedTuple):
    """What an error kind means to the client, the log and the metrics."""

    status: int
    level: Literal["debug", "info", "warning", "error"]
    token: str | None  # Proxy-Status error type, RFC 9209 §2.3; None: the client's own doing, no Proxy-Status
    retryable: bool  # another endpoint may be asked, if the request may be repeated at all
    text: str


class Kind(Enum):
    """Every kind of error an exchange can end with; the value is the metric label."""

    # The client's doing.
    BAD_REQUEST = "bad_request"
    TARGET_TOO_LONG = "target_too_long"
    HEAD_TOO_LARGE = "head_too_large"
    BODY_TOO_LARGE = "body_too_large"
    REQUEST_TIMEOUT = "request_timeout"
    MISDIRECTED = "misdirected"
    TOO_EARLY = "too_early"
    EXPECTATION_FAILED = "expectation_failed"
    CLIENT_GONE = "client_gone"
    NOT_CACHED = "not_cached"
    # Ours.
    INTERNAL = "internal"
    NO_ROUTE = "no_route"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    OVERLOADED = "overloaded"
    LOOP = "loop"
    VERSION = "http_version"
    NOT_IMPLEMENTED = "not_implemented"
    # The origin's.
    DNS = "dns"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    NO_ENDPOINT = "no_endpoint"
    RESPONSE_TIMEOUT = "response_timeout"
    RESPONSE_INCOMPLETE = "response_incomplete"
    RESPONSE_INVALID = "response_invalid"
    RESPONSE_TOO_LARGE = "response_too_large"
    CONNECTION_LOST = "connection_lost"


_TABLE: dict[Kind, Meaning] = {
    Kind.BAD_REQUEST: Meaning(400, "info", None, False, "The request is malformed."),
    Kind.TARGET_TOO_LONG: Meaning(414, "info", None, False, "The request target is too long."),
    Kind.HEAD_TOO_LARGE: Meaning(431, "info", None, False, "The request head is too large."),
    Kind.BODY_TOO_LARGE: Meaning(413, "info", None, False, "The request body is too large."),
    Kind.REQUEST_TIMEOUT: Meaning(408, "info", None, False, "The request did not arrive in time."),
    Kind.MISDIRECTED: Meaning(421, "info", None, False, "This host is served on another connection."),
    Kind.TOO_EARLY: Meaning(425, "info", None, False, "Send it again once the handshake is over."),  # RFC 8470 §5.2
    Kind.EXPECTATION_FAILED: Meaning(417, "info", None, False, "The expectation cannot be met."),
    Kind.CLIENT_GONE: Meaning(499, "debug", None, False, "The client went away."),
    Kind.NOT_CACHED: Meaning(504, "info", None, False, "Nothing is stored that could answer this."),
    Kind.INTERNAL: Meaning(500, "error", "proxy_internal_error", False, "Something failed here."),
    Kind.NO_ROUTE: Meaning(404, "info", "destination_not_found", False, "No route leads there."),
    Kind.METHOD_NOT_ALLOWED: Meaning(405, "info", None, False, "This method is not allowed here."),
    Kind.OVERLOADED: Meaning(503, "warning", "connection_limit_reached", False, "Too busy; try again soon."),
    Kind.LOOP: Meaning(508, "warning", "proxy_loop_detected", False, "The request went round in a loop."),
    Kind.VERSION: Meaning(505, "info", None, False, "This HTTP version is not spoken here."),
    Kind.NOT_IMPLEMENTED: Meaning(501, "info", None, False, "This is not implemented."),
    Kind.DNS: Meaning(502, "warning", "dns_error", True, "The origin's name did not resolve."),
    Kind.CONNECT_REFUSED: Meaning(502, "warning", "connection_refused", True, "The origin refused the connection."),
    Kind.CONNECT_TIMEOUT: Meaning(504, "warning", "connection_timeout", True, "The origin did not answer the call."),
    Kind.TLS: Meaning(502, "warning", "tls_certificate_error", True, "The origin's TLS could not be trusted."),
    Kind.NO_ENDPOINT: Meaning(503, "error", "destination_unavailable", False, "No origin is available."),
    Kind.RESPONSE_TIMEOUT: Meaning(504, "warning", "http_response_timeout", True, "The origin did not answer in time."),
    Kind.RESPONSE_INCOMPLETE: Meaning(
        502, "warning", "http_response_incomplete", True, "The origin's answer broke off."
    ),
    Kind.RESPONSE_INVALID: Meaning(
        502, "warning", "http_protocol_error", True, "The origin's answer is not valid HTTP."
    ),
    Kind.RESPONSE_TOO_LARGE: Meaning(
        502, "warning", "http_response_header_section_size", False, "The origin's answer is too large."
    ),
    Kind.CONNECTION_LOST: Meaning(502, "warning", "connection_terminated", True, "The origin closed the connection."),
}


class EdgeError(Exception):
    """An exchange cannot go on.

    ``detail`` is for the log and Proxy-Status; it holds no secret and nothing of the request's content.
    ``retry_after``: seconds after which the client may come again, 0 if there is no telling.
    """

    def __init__(
        self, kind: Kind, source: Source, detail: str = "", *, retryable: bool | None = None, retry_after: int = 0
    ) -> None:
        super().__init__(detail or meaning(kind).text)
        self.kind = kind
        self.source = source
        self.detail = detail
        self.retry_after = retry_after
        self.retryable = meaning(kind).retryable if retryable is None else retryable

    @property
    def status(self) -> int:
        return meaning(self.kind).status

    def __repr__(self) -> str:
        return f"<EdgeError {self.kind.value} from {self.source}: {self.detail}>"


def meaning(kind: Kind) -> Meaning:
    return _TABLE[kind]
