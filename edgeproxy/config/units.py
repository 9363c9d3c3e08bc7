"""Durations, sizes, shares, rates, addresses as people write them: ``30s``, ``10MB``, ``20%``, ``100/s``, ``[::]:80``.

Each type is a pydantic annotation over a plain number, so that code sees seconds, bytes and fractions. Bounds are put
beside them with ``Field(ge=…, le=…)``.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", re.IGNORECASE)
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SERVICE = re.compile(r"_[a-z0-9-]+\._tcp\.(.+)")  # RFC 2782
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h|d)")


def parse_duration(value: Any) -> float:
    """Seconds from ``500ms``, ``30s``, ``1m30s``, ``2h``, ``7d``, or a number of seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip().lower()
    parts = _DURATION.findall(text)
    if not parts or "".join(_DURATION.sub("", text).split()):
        raise ValueError(f"{value!r} is not a duration; write it like 500ms, 30s, 5m, 2h or 1m30s")
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def parse_size(value: Any) -> int:
    """Bytes from ``512``, ``32KB`` (1000), ``32KiB`` (1024), ``1.5GB``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a size; write it like 512, 32KB, 10MB or 1GiB")
    return int(float(match[1]) * _BYTES[match[2].lower()])


def parse_share(value: Any) -> float:
    """A fraction from ``20%`` or ``0.2``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise ValueError(f"{value!r} is not a share; write it like 20% or 0.2") from None


@dataclass(frozen=True, slots=True)
class RateValue:
    """``count`` events in ``period`` seconds."""

    count: float
    period: float

    def __str__(self) -> str:
        unit = next((unit for unit in ("s", "m", "h", "d") if _SECONDS[unit] == self.period), "s")
        return f"{self.count:.12g}/{unit}"


def parse_rate(value: Any) -> RateValue:
    """A rate from ``100/s``, ``600/m``, ``5000/h``."""
    if isinstance(value, RateValue):
        return value
    match = _RATE.fullmatch(str(value).strip().lower())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{value!r} is not a rate; write it like 100/s, 600/m or 5000/h")
    return RateValue(float(match[1]), _SECONDS[match[2]])


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_network(value: Any) -> Network:
    """An address or a block in CIDR notation."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(str(value).strip())
    except ValueError as error:
        raise ValueError(f"{value!r} is not an address or block like 192.0.2.7 or 10.0.0.0/8: {error}") from None


class AddressValue(NamedTuple):
    """Where to listen: ``host`` (an IP literal) and ``port``, or the ``path`` of a Unix socket. ``datagrams``: for
    those, not for connections."""

    host: str
    port: int
    path: str = ""
    datagrams: bool = False

    def __str__(self) -> str:
        if self.datagrams:
            return f"udp:{self._replace(datagrams=False)}"
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: Any) -> AddressValue:
    """Where to listen: ``127.0.0.1:8080``, ``[::]:8443``, ``:8080`` (all IPv4 addresses), ``unix:/run/edge.sock``."""
    text = str(value).strip()
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or len(path.encode()) > 107:  # sun_path, unix(7)
            raise ValueError(f"{value!r}: the path of a Unix socket is absolute and at most 107 bytes long")
        return AddressValue("", 0, path)
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        if not colon or (":" in host and bare == host) or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError
        return AddressValue(
            str(ipaddress.ip_address({"": "0.0.0.0", "localhost": "127.0.0.1"}.get(bare, bare))), int(port)
        )
    except ValueError:
        raise ValueError(
            f"{value!r} is not an address to listen on; write it like 127.0.0.1:8080, [::]:8443 or unix:/run/edge.sock"
        ) from None


class EndpointValue(NamedTuple):
    """Where an origin is reached: ``path`` for a Unix socket, else ``host`` (a name or an IP literal) and ``port``.
    ``service``: the name whose SRV records tell hosts and ports; ``host`` is then the domain it is of."""

    scheme: str
    host: str
    port: int
    path: str = ""
    service: str = ""


def parse_endpoint(value: Any) -> EndpointValue:
    """An origin's address: ``http://10.0.0.5:8000``, ``https://b.example``, ``unix:/run/app.sock``,
    ``srv+http://_http._tcp.b.example``."""
    text = str(value).strip()
    if text.startswith("unix:/"):
        return EndpointValue("http", "localhost", 0, text.removeprefix("unix:"))
    service = text.startswith("srv+")
    try:
        url = urlsplit(text.removeprefix("srv+"))
        port = url.port
    except ValueError as error:
        raise ValueError(f"{value!r} is not an origin's address: {error}") from None
    if url.scheme not in {"http", "https"} or not url.hostname or port == 0:
        raise ValueError(
            f"{value!r} is not an origin's address; "
            "write it like http://10.0.0.5:8000, https://b.example or unix:/run/app.sock"
        )
    if url.path not in {"", "/"} or url.query or url.fragment or url.username is not None:
        raise ValueError(f"{value!r}: an endpoint has a scheme, a host and a port, and nothing else")
    usual = 443 if url.scheme == "https" else 80
    if not service:
        return EndpointValue(url.scheme, url.hostname, port or usual)
    match = _SERVICE.fullmatch(url.hostname)
    if match is None or port is not None:
        raise ValueError(f"{value!r}: a service is named like srv+http://_http._tcp.b.example, without a port")
    return EndpointValue(url.scheme, match[1], usual, service=url.hostname)


def _checked_endpoint(value: str) -> str:
    parse_endpoint(value)
    return value


def format_size(size: int) -> str:
    for unit in ("GB", "MB", "KB", "GiB", "MiB", "KiB"):
        factor = _BYTES[unit[:-1].lower()]
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def format_share(share: float) -> str:
    return f"{share * 100:g}%"


def format_duration(seconds: float) -> str:
    for unit in ("d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds * 1000:.12g}ms" if seconds % 1 else f"{seconds:.12g}s"


def _ip_address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(str(value).strip())
    except ValueError:
        raise ValueError(f"{value!r} is not an address; write it like 192.0.2.7 or 2001:db8::7") from None


def parse_name_server(value: Any) -> tuple[str, int]:
    """Address and port of a name server: ``10.0.0.2``, ``127.0.0.1:5353``, ``2001:db8::53``, ``[2001:db8::53]:53``."""
    text = str(value).strip()
    try:
        return str(ipaddress.ip_address(text)), 53
    except ValueError:
        pass
    try:
        found = parse_address(text)
    except ValueError:
        found = AddressValue("", 0)
    if not found.host or not found.port or text.startswith(":"):
        raise ValueError(f"{value!r} is not a name server; write it like 10.0.0.2 or 127.0.0.1:5353")
    return found.host, found.port


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number"], "pattern": pattern, "examples": [example]})


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    _schema(r"^(\d+(\.\d+)?\s*(ms|s|m|h|d)\s*)+$", "30s"),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    _schema(r"^\d+(\.\d+)?\s*([kKmMgGtT]i?)?[bB]?$", "10MB"),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(format_share, return_type=str),
    _schema(r"^\d+(\.\d+)?%?$", "20%"),
]
Address = Annotated[
    str,
    BeforeValidator(lambda value: str(parse_address(value))),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:8080", "[::]:8443", "unix:/run/edge.sock"]}),
]
EndpointUrl = Annotated[
    str,
    AfterValidator(_checked_endpoint),
    WithJsonSchema({"type": "string", "examples": ["http://10.0.0.5:8000", "https://b.example", "unix:/run/app.sock"]}),
]
NameServer = Annotated[
    str,
    AfterValidator(lambda value: str(AddressValue(*parse_name_server(value)))),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.2", "127.0.0.1:5353"]}),
]
IpAddress = Annotated[
    str,
    BeforeValidator(lambda value: str(_ip_address(value))),
    WithJsonSchema({"type": "string", "examples": ["192.0.2.7", "2001:db8::7"]}),
]
Rate = Annotated[
    RateValue,
    BeforeValidator(parse_rate),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*/\s*(s|m|h|d)$", "examples": ["100/s"]}),
]
Cidr = Annotated[
    Network,
    BeforeValidator(parse_network),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8", "2001:db8::1"]}),
]
