"""Where attackers come from."""

from __future__ import annotations

import ipaddress

from edgeproxy.simulate.attack import source


def test_every_attacker_has_a_loopback_address_of_its_own() -> None:
    addresses = {source(number) for number in range(20_000)}
    assert len(addresses) == 20_000
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses)
    assert not any(address.startswith(("127.0.", "127.1.")) for address in addresses)
