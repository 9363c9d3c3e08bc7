"""The part of a pool's section that says how its endpoints are reached: names, sockets, TLS, ranges."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration, IpAddress, NameServer, Size
from edgeproxy.config.values import File, Many


class OriginTlsConfig(Section):
    """TLS towards https endpoints."""

    verify: bool = True
    """Whether the origin's certificate must be valid and carry its name."""
    ca: File | None = None
    """File with the authorities to trust instead of the system's, PEM."""
    server_name: str | None = None
    """The name asked for (SNI) and checked; the endpoint's host by default."""
    certificate: File | None = None
    """The certificate this node shows to origins that ask for one (mutual TLS), PEM, with its intermediates. Read again
    when it changes, as `ca` is; files that cannot be used change nothing."""
    key: File | None = None
    """Its private key, PEM, not encrypted; by default in `certificate`."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest TLS version spoken: 1.2 or 1.3."""

    @model_validator(mode="after")
    def _key_has_certificate(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("key: there is no certificate that it is for")
        return self


class ResolverConfig(Section):
    """How the host names of endpoints are looked up."""

    servers: Annotated[tuple[NameServer, ...], Many] = Field((), max_length=8)
    """Name servers to ask, 8 at most: `10.0.0.2`, `127.0.0.1:5353`. By default the system's (`/etc/resolv.conf`), after
    `/etc/hosts`, and what else the system knows for names that are not in DNS."""
    timeout: Duration = Field(3, ge=0.1, le=30)
    """Time for one look-up, all servers together: 100ms to 30s."""


class SocketConfig(Section):
    """How connections to endpoints are opened. A name's IPv4 and IPv6 addresses are taken to be the same machines',
    which are counted once, by IPv4, and reached by the family that answers first (happy eyeballs, RFC 8305)."""

    bind: Annotated[tuple[IpAddress, ...], Many] = Field((), max_length=2)
    """Address of this node that connections come from, one for each family at most: endpoints of the other family are
    then not reached. By default the system chooses."""
    fast_open: bool = False
    """Send the first bytes with the SYN (TCP Fast Open, RFC 7413): a round trip less where the origin takes part. A
    network that repeats a SYN repeats its request, and an address known from before counts as connected before it
    answers: for https, or where requests may come twice."""
    congestion: str | None = Field(None, pattern=r"^[a-z0-9_]{1,15}$")
    """Congestion control for what is sent: `bbr`, `cubic`, where the kernel has it; the system's by default."""

    @model_validator(mode="after")
    def _one_a_family(self) -> Self:
        if len({":" in address for address in self.bind}) < len(self.bind):
            raise ValueError("bind: one address for each family at most")
        return self


class RangesConfig(Section):
    """Large answers fetched in parts, from several endpoints at once, and joined in order."""

    from_: Size = Field(64_000_000, alias="from", ge=1_000_000, le=10**15)
    """The length of a body from which on it is fetched in parts: 1MB or more."""
    parts: int = Field(4, ge=2, le=16)
    """Connections at once, the first one included: 2 to 16."""
    size: Size = Field(8_000_000, ge=256_000, le=64_000_000)
    """A part's length: 256KB to 64MB. A download holds at most `parts` times `size` in memory."""
