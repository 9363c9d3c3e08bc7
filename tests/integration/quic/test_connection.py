"""The server's side of a QUIC connection against a client's, datagrams handed over by hand: no socket, no clock."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from qh3 import tls
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection
from qh3.quic.events import StreamDataReceived

from edgeproxy.quic.connection import HELLO_LONGEST, Certificate, ServerConnection
from edgeproxy.quic.tokens import Address
from tests.support.certificates import Authority

CLIENT: Address = ("127.0.0.1", 40_000)
SERVER: Address = ("127.0.0.1", 443)


class Pair:
    """Both sides; ``asked``: the name and hello that a certificate was chosen for."""

    def __init__(self, folder: Path, *, nameless: bool = False, server_name: str = "localhost") -> None:
        authority = Authority(folder)
        files = authority.issue("localhost")
        self.certificate = Certificate(files.certificate.read_bytes(), files.key.read_bytes())
        self.asked: list[tuple[str, bytes]] = []
        self.refuse = False
        options = QuicConfiguration(
            is_client=True, alpn_protocols=["h3"], server_name=server_name, verify_mode=ssl.CERT_NONE
        )
        if nameless:
            options.connection_id_length = 0
        self.client = QuicConnection(configuration=options)
        if nameless:
            self.client._original_destination_connection_id = b"8 bytes."
        first = self.client.original_destination_connection_id
        served = QuicConfiguration(is_client=False, alpn_protocols=["h3"], idle_timeout=30, max_data=300_000)
        served.max_stream_data = 300_000
        served.certificate, served.private_key = self.certificate.certificate, self.certificate.key
        self.server = ServerConnection(
            served,
            first if nameless else b"ours0000",
            first,
            None,
            self._choose,
            lambda _: None,
            lambda _: None,
            early=True,
            nameless=nameless,
        )
        self.got: dict[int, int] = {}
        self.now = 1_000.0  # seconds; a millisecond a turn, however long that takes

    def _choose(self, name: str, hello: bytes) -> tuple[Certificate, str]:
        self.asked.append((name, hello))
        if self.refuse:
            raise tls.AlertHandshakeFailure("no")
        return self.certificate, "ja4"

    def start(self) -> None:
        self.client.connect(SERVER, now=self.now)

    def exchange(self, turns: int = 8) -> int:
        """Hand everything over, a few times; bytes the server sent in the first turn."""
        first = -1
        for _ in range(turns):
            self.now += 0.001
            for side in (self.client, self.server):
                due = side.get_timer()
                if due is not None and due <= self.now:
                    side.handle_timer(self.now)
            there = [data for data, _ in self.client.datagrams_to_send(now=self.now)]
            if there:
                self.server.receive_many_datagrams(there, CLIENT, self.now)
            while (event := self.server.next_event()) is not None:
                if isinstance(event, StreamDataReceived):
                    self.got[event.stream_id] = self.got.get(event.stream_id, 0) + len(event.data)
            back = [data for data, _ in self.server.datagrams_to_send(now=self.now)]
            first = sum(map(len, back)) if first < 0 else first
            for data in back:
                self.client.receive_datagram(data, SERVER, now=self.now)
            while self.client.next_event():
                pass
        return first


@pytest.mark.parametrize("nameless", [False, True], ids=["with an id", "without an id, as Chromium"])
def test_a_client_shakes_hands_and_sends(tmp_path: Path, nameless: bool) -> None:
    pair = Pair(tmp_path, nameless=nameless)
    pair.start()
    pair.exchange()
    assert pair.server.established
    pair.client.send_stream_data(0, b"hello", True)
    pair.exchange()
    assert pair.got == {0: 5}
    assert pair.server.cipher.startswith("TLS_")
    assert pair.server.remote == CLIENT


def test_the_certificate_is_chosen_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    pair = Pair(tmp_path, server_name="B.example")
    pair.start()
    pair.exchange()
    ((name, hello),) = pair.asked
    assert name == pair.server.server_name == "b.example"
    assert hello[:1] == b"\x01"
    assert pair.server.ja4 == "ja4"


def test_a_name_that_is_refused_is_refused_in_the_handshake(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.refuse = True
    pair.start()
    pair.exchange(2)
    assert pair.server.over
    assert not pair.server.established
    assert pair.client._close_event is not None
    assert pair.client._close_event.error_code == 0x100 + tls.AlertDescription.handshake_failure


def test_a_client_that_has_not_shown_its_address_is_sent_three_times_what_it_sent(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.start()
    there = [data for data, _ in pair.client.datagrams_to_send(now=pair.now)]
    pair.server.receive_many_datagrams(there[:1], CLIENT, pair.now)
    sent = 0
    for turn in range(200):
        now = pair.now + turn
        pair.server.handle_timer(now)
        sent += sum(len(data) for data, _ in pair.server.datagrams_to_send(now=now))
    assert 0 < sent <= 3 * len(there[0])


def test_what_is_held_gives_no_credit_and_goes_on_when_it_is_released(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.start()
    pair.exchange()
    pair.server.held = True
    pair.client.send_stream_data(0, bytes(2_000_000), True)
    for _ in range(100):
        pair.exchange(1)
    assert pair.got == {}
    assert pair.client.get_send_buffer_size(0) >= 2_000_000 - 300_000
    pair.server.release()
    for _ in range(600):
        pair.exchange(1)
    assert pair.got == {0: 2_000_000}


def test_a_hello_that_does_not_end_is_refused(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    pair.start()
    pair.exchange(1)
    context: Any = pair.server.tls
    with pytest.raises(tls.Alert):
        context.handle_message(b"\x01\xff\xff\xff" + bytes(HELLO_LONGEST), {}, 0)


def test_room_is_asked_of_a_stream_that_was_never_there(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    assert pair.server.unsent(0) == 0
    assert pair.server.remote is None
    pair.start()
    pair.exchange()
    assert pair.server.unsent(0) == 0
