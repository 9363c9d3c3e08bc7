"""Whole nodes, with workers, that get their certificates and serve them."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from edgeproxy.acme import state
from tests.support.pebble import Pebble
from tests.support.ports import free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.redis_server import RedisServer
from tests.support.site import Site, config

WITHIN = 60.0


class Edge:
    """A node in front of a site, that proves its names to a server of its own."""

    def __init__(self, stack: ExitStack, folder: Path, *, pebble: Pebble | None = None, **acme: Any) -> None:
        self.plain, self.tls = free_port(), free_port()
        self.pebble = pebble or stack.enter_context(Pebble(http_port=self.plain, tls_port=self.tls))
        self.folder = folder
        self.names: dict[str, Any] = {"acme": ["a.example"]}
        self.more: dict[str, Any] = {}
        self.acme = {
            "agree_to_terms": True,
            "directory": self.pebble.directory,
            "ca": str(self.pebble.ca),
            "folder": str(folder),
            **acme,
        }
        self._site = stack.enter_context(Site())
        self._stack = stack

    def start(self, **more: Any) -> EdgeProcess:
        listeners: list[dict[str, Any]] = [{"address": f"127.0.0.1:{self.plain}"}]
        if self.names:
            listeners.append({"address": f"127.0.0.1:{self.tls}", "tls": self.names})
        whole = config(self._site.url, workers=2, listeners=listeners, acme=self.acme, **more)
        return self._stack.enter_context(EdgeProcess(whole))

    def serial(self, name: str) -> int | None:
        """Of the certificate that is shown for a name, None if its authority does not vouch for it."""
        context = ssl.create_default_context(cadata=self.pebble.roots())
        try:
            with (
                socket.create_connection(("127.0.0.1", self.tls), timeout=5) as sock,
                context.wrap_socket(sock, server_hostname=name) as connection,
            ):
                shown = connection.getpeercert(binary_form=True)
        except (OSError, ssl.SSLError):
            return None
        return None if shown is None else x509.load_der_x509_certificate(shown).serial_number

    def shows(self, node: EdgeProcess, name: str, but: int | None = None) -> int:
        """Wait until every worker shows a valid certificate for a name, another one than ``but``; its number."""
        seen: list[int | None] = []

        def good() -> bool:
            seen[:] = [self.serial(name) for _ in range(8)]  # the kernel spreads connections over the workers
            return seen[0] not in {None, but} and len(set(seen)) == 1

        try:
            wait_until(good, f"a certificate for {name}", WITHIN)
        except TimeoutError as error:
            error.add_note(node.logs() + self.pebble.log()[-3000:])
            raise
        return seen[0] or 0


def serving(node: EdgeProcess) -> set[int]:
    """The workers' processes; a run is another child of the supervisor's."""
    return {worker["pid"] for worker in node.admin_json("/pools")["workers"]}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


Make = Callable[..., Edge]


@pytest.fixture
def make(stack: ExitStack, tmp_path: Path) -> Make:
    def make(name: str = "acme", **options: Any) -> Edge:
        return Edge(stack, tmp_path / name, **options)

    return make


@pytest.mark.slow
def test_a_node_proves_its_names_over_http_past_every_stage_of_its_routes(make: Make) -> None:
    edge = make()
    node = edge.start(middleware={"static": {"answers": [{"prefix": "/", "status": 503}]}})
    edge.shows(node, "a.example")
    wait_until(lambda: b'edgeproxy_acme_certificates{state="valid"} 1.0' in node.admin("/metrics")[1], "it is counted")
    assert b'edgeproxy_acme_runs_total{outcome="done"} 1.0' in node.admin("/metrics")[1]
    connection = http.client.HTTPConnection("127.0.0.1", edge.plain, timeout=5)
    connection.request("GET", "/.well-known/acme-challenge/DGyRejmCefe7v4NfDGDKfA", headers={"host": "a.example"})
    assert connection.getresponse().status == 503  # what nobody asked for is any request
    connection.close()
    assert list((edge.folder / "challenges" / "http").iterdir()) == []


@pytest.mark.slow
def test_a_node_proves_its_names_in_the_handshake(make: Make) -> None:
    edge = make(challenge="tls-alpn-01")
    edge.shows(edge.start(), "a.example")


@pytest.mark.slow
def test_a_certificate_that_is_due_is_renewed_and_shown_without_a_restart(make: Make) -> None:
    edge = make()
    node = edge.start()
    first = edge.shows(node, "a.example")
    workers = serving(node)
    path = edge.folder / "states" / "a.example.json"
    wait_until(path.exists, "the run has ended")
    known = state.decode(path.read_bytes())
    # As a run leaves it when an authority suggests a renewal, before it revokes (RFC 9773).
    path.write_bytes(state.encode(known._replace(due=1.0, suggested=1.0)))
    node.reload()
    edge.shows(node, "a.example", but=first)
    assert serving(node) == workers


@pytest.mark.slow
def test_a_name_that_is_asked_for_gets_a_certificate_if_a_rule_allows_it(make: Make) -> None:
    edge = make(on_demand={"allow": ["*.shop.example"]})
    edge.names = {"on_demand": True}
    node = edge.start()
    assert edge.serial("x.other.example") is None
    assert edge.serial("x.shop.example") is None  # the first client has to come again
    edge.shows(node, "x.shop.example")
    assert sorted(path.name for path in (edge.folder / "certificates").iterdir()) == ["x.shop.example.pem"]


@pytest.mark.slow
def test_while_the_authority_is_away_the_site_is_served_and_the_operator_is_told(make: Make) -> None:
    edge = make()
    edge.pebble.stop()
    node = edge.start()
    wait_until(lambda: "a.example: no certificate: the authority cannot be asked" in node.logs(), "it is said", WITHIN)
    counted = b'edgeproxy_acme_certificates{state="failing"} 1.0'
    wait_until(lambda: counted in node.admin("/metrics")[1], "it is counted")
    assert b'edgeproxy_acme_runs_total{outcome="failed"} 1.0' in node.admin("/metrics")[1]
    connection = http.client.HTTPConnection("127.0.0.1", edge.plain, timeout=5)
    connection.request("GET", "/", headers={"host": "a.example"})
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.slow
def test_a_node_that_ends_takes_a_run_that_hangs_with_it(make: Make, tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/hooked\n[ "$1" = cleanup ] || exec sleep 600\n')
    hook.chmod(0o755)
    edge = make(challenge="dns-01", dns_hook=str(hook))
    node = edge.start()
    wait_until((tmp_path / "hooked").exists, "the hook runs", WITHIN)
    assert node.stop(20) == 0
    assert (tmp_path / "hooked").read_text().split() == ["present", "cleanup"]


@pytest.mark.slow
def test_what_one_node_orders_another_one_proves_and_has(make: Make, stack: ExitStack) -> None:
    redis = stack.enter_context(RedisServer())
    asked = make("asked", storage="redis")  # the authority comes here
    other = make("other", pebble=asked.pebble, storage="redis")
    asked.names = {}
    asked.start(cache={"redis": redis.url})
    other.shows(other.start(cache={"redis": redis.url}), "a.example")
    copy = asked.folder / "certificates" / "a.example.pem"
    wait_until(copy.exists, "it is copied", WITHIN)
    assert copy.read_bytes() == (other.folder / "certificates" / "a.example.pem").read_bytes()
    assert asked.pebble.orders() == 1
