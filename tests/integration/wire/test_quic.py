"""QUIC below HTTP/3: who has to show its address, who comes back, who moves, and which worker has whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from edgeproxy.http3 import codes
from tests.support.http3 import Http3Site
from tests.support.quic import get
from tests.support.servers import wait_until
from tests.support.site import config

pytestmark = pytest.mark.slow

LIBRARIES = ("qh3", "aioquic")


def session(site: Http3Site, library: str) -> Any:
    """A ticket of a session that has ended."""
    with site.client(library) as client:
        client.connect()
        client.get(b"/first")
        client.until(lambda: bool(client.tickets), "a session ticket")
        return client.tickets[-1]


@pytest.fixture(scope="module")
def site() -> Iterator[Http3Site]:
    with Http3Site({"hosts_off": ["off.example"]}, workers=2) as site:
        yield site


@pytest.fixture(scope="module")
def careful() -> Iterator[Http3Site]:
    stages = {"bot_check": False, "headers": {"request": {"set": {"x-ja4": "{client.ja4}"}}}}
    with Http3Site({"retry": "always", "early_data": False}, tls={"fingerprint": True}, middleware=stages) as site:
        yield site


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_shows_its_address_where_it_has_to(careful: Http3Site, library: str) -> None:
    before = careful.metric("edgeproxy_quic_retries_total")
    with careful.client(library) as client:
        assert client.connect().get().status == 200
    assert careful.metric("edgeproxy_quic_retries_total") > before


def test_a_client_has_its_fingerprint_over_quic_too(careful: Http3Site) -> None:
    with careful.client() as client:
        client.connect().get(b"/fingerprint")
    told = careful.site.to(b"/fingerprint")[-1].get(b"x-ja4") or b""
    assert re.fullmatch(rb"q13d\d{4}h3_[0-9a-f]{12}_[0-9a-f]{12}", told)


def test_a_token_of_somebody_else_is_worth_nothing(careful: Http3Site) -> None:
    with careful.client() as first:
        first.start()
        first.flush()
        first.until(lambda: first.received > 0, "a Retry")
        first.move()
        with pytest.raises(TimeoutError):
            first.until(lambda: first.established, "the handshake", 1.0)


def test_an_unknown_version_is_told_those_that_are_known(site: Http3Site) -> None:
    with site.client() as client:
        client.send_datagram(b"\xc0\x1a\x2a\x3a\x4a\x08" + b"d" * 8 + b"\x08" + b"s" * 8 + bytes(1200))
        client.socket.settimeout(5)
        told = client.socket.recv(2000)
    assert told[1:5] == bytes(4)
    assert told[6:14] == b"s" * 8
    assert told[-4:] == b"\0\0\0\1"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_that_comes_back_asks_along_with_its_hello(site: Http3Site, library: str) -> None:
    ticket = session(site, library)
    with site.client(library, ticket=ticket) as client:
        client.start()
        stream = client.ask(get(b"/early-" + library.encode()))
        client.flush()
        wait_until(
            lambda: bool(site.site.to(b"/early-" + library.encode())), "the origin is asked before the handshake"
        )
        assert client.finish(stream).status == 200
        assert client.early
    assert site.site.to(b"/early-" + library.encode())[-1].get(b"early-data") == b"1"


def test_a_ticket_opens_one_session_whichever_worker_it_is_shown_to(site: Http3Site) -> None:
    ticket = session(site, "qh3")
    early = []
    for _ in range(6):
        with site.client(ticket=ticket) as client:
            client.start()
            client.finish(client.ask(get(b"/replayed")))
            early.append(client.early)
    assert early == [True, False, False, False, False, False]


def test_what_changes_something_waits_for_the_handshake(site: Http3Site) -> None:
    with site.client(ticket=session(site, "qh3")) as client:
        client.start()
        stream = client.ask(get(b"/change", method=b"POST"), b"twice?")
        client.flush()
        wait_until(lambda: '"status":425' in site.edge.logs(), "the refusal before the handshake")
        assert client.finish(stream).status == 425
        assert client.get(b"/change", method=b"POST").status == 200
    assert [seen.body for seen in site.site.to(b"/change")] == [b""]


def test_without_early_data_nobody_may_send_any(careful: Http3Site) -> None:
    ticket = session(careful, "qh3")
    assert not ticket.max_early_data_size
    with careful.client(ticket=ticket) as client:
        assert client.connect().get().status == 200
        assert not client.early


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_client_that_moves_goes_on_whichever_worker_it_meets(site: Http3Site, library: str) -> None:
    with site.client(library) as client:
        client.connect().get(b"/before")
        for turn in range(3):
            client.move()
            if library == "qh3":
                client.quic.change_connection_id()
            assert client.get(b"/moved%d" % turn).status == 200


def test_workers_pass_on_what_is_anothers(site: Http3Site) -> None:
    def passed() -> float:
        return site.metric("edgeproxy_quic_relayed_datagrams")

    before = passed()
    for _ in range(10):
        with site.client() as client:
            client.connect().get(b"/before")
            client.move()
            assert client.get(b"/after").status == 200
        if passed() > before:
            return
    pytest.fail("no datagram was passed on in ten moves: each worker got its own")


def test_a_host_that_is_off_shakes_no_hand(site: Http3Site) -> None:
    with site.client(server_name="off.example") as client:
        client.start()
        client.until(lambda: client.closed is not None, "the refusal")
        assert not client.established


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_host_that_is_off_is_not_served_on_another_ones_connection(site: Http3Site, library: str) -> None:
    with site.client(library) as client:
        client.connect()
        refused = client.finish(client.ask(get(b"/misdirected", host=b"OFF.example:443")))
        assert (refused.status, refused.code) == (421, None)
        assert client.get(b"/directed").status == 200
    assert not site.site.to(b"/misdirected")
    wait_until(lambda: '"status":421' in site.edge.logs(), "the refusal in the log")


def test_a_reload_takes_new_workers_and_cuts_nobody_off(site: Http3Site) -> None:
    with site.client() as client:
        client.connect().get(b"/old")
        site.listener["http3"] = {"hosts_off": ["other.example"]}
        before = set(site.edge.worker_pids())
        site.edge.write(config(site.site.url, listeners=[site.listener], workers=2, middleware={"bot_check": False}))
        site.edge.reload()
        wait_until(lambda: not before & set(site.edge.worker_pids()) or client.closed is not None, "the old leave", 20)
    with site.client() as late:
        assert late.connect().get(b"/new").status == 200


def test_a_server_that_ends_says_so_and_answers_what_it_has_begun() -> None:
    with Http3Site() as site, site.client() as client:
        client.connect().get()
        site.edge.process.terminate()
        client.until(lambda: client.closed is not None, "the end", 10)
        assert client.closed == codes.NO_ERROR
        raw = bytes(client.raw[3])
    assert b"\x07\x01\x04" in raw  # GOAWAY: streams from 4 on are not taken


def test_a_hello_that_never_ends_ends_nobody_else(site: Http3Site) -> None:
    with site.client(http=False) as client:
        client.connect()
        for number in range(5):
            client.send_datagram(
                b"\xc3\0\0\0\1\x08" + bytes((number,)) * 8 + b"\x08" + b"s" * 8 + b"\0\x44\x90" + bytes(1182)
            )
        client.send_datagram(b"\x40" + b"nobodys!" + bytes(40))
    with site.client() as other:
        assert other.connect().get().status == 200


def test_nothing_of_all_that_stands_in_the_log(site: Http3Site) -> None:
    assert not [line for line in site.edge.logs().splitlines() if " error " in line or " warning " in line]
