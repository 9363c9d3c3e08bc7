"""Who is told of HTTP/3, and in which form."""

from __future__ import annotations

import pytest

from edgeproxy.config.http3 import Http3Config
from edgeproxy.http2.hpack import Decoder
from edgeproxy.listener.alt_svc import HOSTS_KEPT, AltSvc, Hosts


def test_it_names_the_port_and_how_long_it_may_be_remembered() -> None:
    told = AltSvc(Http3Config(), 8443)
    assert told.line(b"a.example") == b'alt-svc: h3=":8443"; ma=86400\r\n'
    assert Decoder(4096, 10_000).decode(told.block(b"a.example")) == [(b"alt-svc", b'h3=":8443"; ma=86400')]


def test_the_port_that_clients_reach_may_be_another_one() -> None:
    config = Http3Config.model_validate({"port": 443, "advertise": "1h"})
    assert AltSvc(config, 8443).value == b'h3=":443"; ma=3600'


@pytest.mark.parametrize("config", [None, Http3Config.model_validate({"advertise": False})])
def test_nothing_is_said_where_it_is_off(config: Http3Config | None) -> None:
    told = AltSvc(config, 443)
    assert told.line(b"a.example") == told.block(b"a.example") == b""


@pytest.mark.parametrize(
    ("on", "off", "host", "has"),
    [
        ((), (), b"a.example", True),
        (("a.example",), (), b"a.example", True),
        (("a.example",), (), b"b.example", False),
        (("*.a.example",), (), b"x.y.a.example", True),
        (("*.a.example",), (), b"a.example", False),
        ((), ("files.example",), b"files.example", False),
        ((), ("files.example",), b"a.example", True),
        (("*.example",), ("files.example",), b"files.example", False),
        (("*.example",), ("files.example",), b"pages.example", True),
        (("a.example",), (), b"", False),
    ],
)
def test_a_host_has_it_where_it_is_named_and_not_taken_out(
    on: tuple[str, ...], off: tuple[str, ...], host: bytes, has: bool
) -> None:
    config = Http3Config.model_validate({"hosts": on, "hosts_off": off})
    hosts = Hosts(config)
    assert hosts.has(host) is has
    assert hosts.has(host) is has, "also from memory"
    assert (AltSvc(config, 443).line(host) != b"") is has


def test_what_is_remembered_of_hosts_is_bounded() -> None:
    hosts = Hosts(Http3Config.model_validate({"hosts": ["a.example"]}))
    for number in range(HOSTS_KEPT + 10):
        hosts.has(b"%d.example" % number)
    assert len(hosts._known) <= HOSTS_KEPT
    assert repr(hosts) == "<Hosts 1 on, 0 off>"
