"""What may be attacked: this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeproxy.simulate.node import configured, loopback

CONFIG = """
admin: {address: 127.0.0.1:9901}
listeners: [{address: "unix:/tmp/x.sock"}, {address: "0.0.0.0:8081"}]
pools: {site: {endpoints: ["http://127.0.0.1:1"]}}
routes: [{name: all, pool: site}]
"""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("127.3.2.1:80", ("127.3.2.1", 80)),
        ("localhost:8080", ("127.0.0.1", 8080)),
        (":8080", ("127.0.0.1", 8080)),
    ],
)
def test_loopback_addresses(text: str, address: tuple[str, int]) -> None:
    assert loopback(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("192.0.2.1:80", "10.0.0.1:80", "128.0.0.1:80", "[::1]:80", "[2001:db8::1]:80", "[::ffff:127.0.0.1]:80"),
        *("[::]:80", "127.0.0.1:0", "unix:/run/x.sock", "example.com:80", "127.0.0.1", "2130706433:80", "127.1:80", ""),
    ],
)
def test_others_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        loopback(text)


def test_a_configuration_tells_where_the_node_listens(tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(CONFIG)
    assert configured(file, tls=False) == (("127.0.0.1", 8081), "127.0.0.1:9901")
    with pytest.raises(ValueError, match="no TCP listener with TLS"):
        configured(file, tls=True)
    file.write_text(CONFIG.replace("0.0.0.0:8081", "192.0.2.1:80"))
    with pytest.raises(ValueError, match="not a loopback address"):
        configured(file, tls=False)
