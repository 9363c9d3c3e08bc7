from __future__ import annotations

from edgeproxy.acme.names import listed
from edgeproxy.config.load import load_text

CONFIG = """
listeners:
  - address: ":80"
  - {address: ":443", tls: {acme: [a.example, b.example]}}
  - {address: ":8443", tls: {acme: b.example}}
acme: {agree_to_terms: true}
pools: {site: {endpoints: ["http://127.0.0.1:8000"]}}
routes: [{name: all, pool: site}]
"""


def test_each_name_of_the_listeners_counts_once() -> None:
    assert listed(load_text(CONFIG, "x.yaml")) == ("a.example", "b.example")
