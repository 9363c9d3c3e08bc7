"""A certificate made up in memory."""

from __future__ import annotations

import time

import pytest

from edgeproxy.certificates.leaf import parse
from edgeproxy.certificates.stopgap import NAMES_MOST, self_signed
from edgeproxy.config.tls import TlsConfig
from edgeproxy.tls.context import load_bytes, new_context


@pytest.mark.parametrize(
    "names", [(), ("a.example", "*.b.example"), tuple(f"n{number}.example" for number in range(200))]
)
def test_it_is_for_the_names_and_a_context_takes_it(names: tuple[str, ...]) -> None:
    now = time.time()
    made = self_signed(names, now)
    leaf = parse(made)
    assert leaf.names == (names[:NAMES_MOST] or ("edgeproxy, no certificate yet",))
    assert leaf.begins < now < leaf.expires
    load_bytes(new_context(TlsConfig(on_demand=True), ("http/1.1",)), made)


def test_each_has_a_key_of_its_own() -> None:
    assert self_signed((), 0.0)[:300] != self_signed((), 0.0)[:300]
