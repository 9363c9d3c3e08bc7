"""Unpacks request bodies for origins that cannot."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgeproxy.compression.unpack import DIGESTS, Bounds, Unpacked, Unpacker
from edgeproxy.config.units import Size
from edgeproxy.config.values import Many
from edgeproxy.http.body import Body
from edgeproxy.http.headers import members, tokens
from edgeproxy.http.message import UNKNOWN_LENGTH, Response
from edgeproxy.identity.refusals import Refusals
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

Coding = Literal["gzip", "deflate", "br", "zstd"]

_ALIASES = {b"x-gzip": b"gzip"}  # RFC 9110 §8.4.1.3
_OF_THE_PACKED = (b"content-encoding", b"content-length", *DIGESTS)
_BUSY = 1.0  # seconds after which a client may try again


def _each_once(codings: tuple[Coding, ...]) -> tuple[Coding, ...]:
    if len(set(codings)) < len(codings):
        raise ValueError("name each coding once")
    return codings


class Decompression(Middleware):
    """Unpack request bodies in gzip, deflate, Brotli or Zstandard for origins that cannot, as they come.

    What unpacks to too much is refused with 413 as soon as that shows, what breaks off or cannot be read with 400, and
    a coding that is not taken with 415, which names those that are. Nothing is held but a small piece of each body; an
    origin that has been sent the beginning of one sees its connection close. Digests of the packed bytes are taken out.
    A body marked `no-transform`, or a part of a whole (`Content-Range`), passes as it is, and so do all bodies where
    this stage is off. With `mode: observe` it only counts the codings that it would refuse.
    """

    name = "decompression"

    class Config(MiddlewareConfig):
        codings: Annotated[tuple[Coding, ...], Many, Field(min_length=1), AfterValidator(_each_once)] = (
            "gzip",
            "deflate",
            "br",
            "zstd",
        )
        """Codings that are unpacked; others are refused."""

        nested: Annotated[int, Field(ge=1, le=2)] = 1
        """How many codings one body may have, 1 or 2."""

        max_size: Annotated[Size, Field(ge=1024, le=10_000_000_000)] = 10_000_000
        """What a body may unpack to at most: 1KiB to 10GB. `limits.body_size` holds for it as it comes."""

        max_ratio: Annotated[int, Field(ge=2, le=100_000)] = 200
        """How many times its size it may unpack to, once it is longer than `small`. JSON and logs seldom reach 50."""

        small: Annotated[Size, Field(ge=0, le=10_000_000)] = 1_000_000
        """Up to here `max_ratio` does not count."""

        max_window: Annotated[Size, Field(ge=1024, le=134_217_728)] = 8_388_608
        """Memory that Zstandard may ask for: 1KiB to 128MiB. 8MiB is what the standard allows (RFC 9659)."""

        bodies: Annotated[int, Field(ge=1, le=10_000)] = 64
        """How many bodies may be unpacked at a time in each worker. More are refused with 503. Each takes what its
        coding's window fills: 32 KiB for gzip, up to 16 MiB for Brotli, up to `max_window` for Zstandard."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._codings = frozenset(coding.encode() for coding in config.codings)
        self._accepted = ", ".join(config.codings).encode()
        self._nested = config.nested
        self._bounds = Bounds(config.max_size, config.max_ratio, config.small, config.max_window)
        self._enforced = config.mode == "enforce"
        self._bodies: set[Body] = set()
        self._most = config.bodies
        metrics = services.metrics
        refused = metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self._refused = partial(refused.inc, self.name)
        self._refusals = Refusals(self._refused)
        self._count = metrics.counter("edgeproxy_unpacked_total", "Request bodies unpacked, by coding.", ("coding",))
        metrics.gauge("edgeproxy_unpacking", "Request bodies being unpacked.", (), self._load)

    def fetch(self, x: Exchange) -> Response | None:
        request = x.request
        fields, body = request.headers, request.body
        told = fields.get(b"content-encoding")
        if told is None or body is None or b"content-range" in fields:
            return None
        if b"no-transform" in tokens(fields.get(b"cache-control")):  # RFC 9110 §7.7
            return None
        codings = [_ALIASES.get(name, name) for name in members(told.lower()) if name != b"identity"]
        if len(codings) > self._nested or not self._codings.issuperset(codings):
            return self._unsupported()
        if not (codings and self._enforced):
            return None
        if len(self._bodies) >= self._most:
            return self._refusals.later(503, "Too many bodies are being unpacked; try again soon.", _BUSY)
        unpacked = Unpacked(body, Unpacker(codings, self._bounds), self._refused)
        self._bodies.add(unpacked)
        for coding in codings:
            self._count.inc(coding.decode())
        for name in _OF_THE_PACKED:
            fields.pop(name, None)
        request.body, request.length = unpacked, UNKNOWN_LENGTH
        return None

    def log(self, x: Exchange) -> None:
        body = x.request.body
        if body in self._bodies:
            self._bodies.remove(body)
            body.close()

    def _unsupported(self) -> Response:
        response = self._refusals.refuse(415, "The body's content coding is not taken here.")
        response.own[b"accept-encoding"] = self._accepted  # RFC 9110 §12.5.3
        return response

    def _load(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), len(self._bodies))]
