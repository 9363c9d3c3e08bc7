"""One QUIC connection of a client: qh3's, with what it leaves to be said. All that is private to qh3 is used here.

qh3 gives a peer credit for what is taken out of its core. So a connection whose bodies nobody reads is *held*: nothing
is taken out, the core goes on sending and acknowledging, and the peer can send no more than the window.
"""

# ruff: noqa: SLF001 (this file is the one that knows qh3's insides)
from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from qh3 import tls
from qh3._hazmat import Buffer
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.connection import QuicConnection
from qh3.quic.crypto import CIPHER_SUITES, derive_key_iv_hp
from qh3.quic.tls_bridge import QuicTlsBridge

HELLO_LONGEST: Final = 32 * 1024  # bytes; browsers send under 2 KiB
_INITIAL_SALT: Final = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")  # of version 1 (RFC 9001 §5.2)
_NO_ROOM: Final = "capacity exhausted"
_ALIVE: Final = frozenset(("first_flight", "connected"))

# It warns of every peer that closes or breaks a rule: whoever scans would write the log.
logging.getLogger("quic").setLevel(logging.CRITICAL)


class Certificate:
    """A chain and its key as qh3 has them, out of PEM."""

    def __init__(self, chain: bytes, key: bytes) -> None:
        loaded = QuicConfiguration(is_client=False)
        loaded.load_cert_chain(chain, key)
        self.certificate = loaded.certificate
        self.chain = loaded.certificate_chain
        self.key = loaded.private_key


# Given the name that was asked for and the whole ClientHello: the certificate, and the hello's fingerprint. May raise
# one of qh3's alerts.
Choose = Callable[[str, bytes], tuple[Certificate, str]]


class ServerConnection(QuicConnection):
    """``cid`` is the connection id it gives itself; ``early``: whether sessions made here may send early data.
    ``nameless``: the client has given itself no id, as Chromium does; qh3 would call it by the one of its first packet.
    Then ``cid`` has to be the one that packet was sent to."""

    def __init__(
        self,
        configuration: QuicConfiguration,
        cid: bytes,
        original: bytes,
        retried: bytes | None,
        choose: Choose,
        take: Callable[[bytes], tls.SessionTicket | None],
        put: Callable[[tls.SessionTicket], None],
        *,
        early: bool,
        nameless: bool,
    ) -> None:
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original,
            retry_source_connection_id=retried,
            session_ticket_fetcher=take,
            session_ticket_handler=put,
        )
        self.host_cid = cid
        self.held = False
        self.server_name = ""
        self.ja4 = ""
        self._choose = choose
        self._early = early
        self._nameless = nameless

    @property
    def established(self) -> bool:
        """The handshake is over: what comes now is nobody's repetition (RFC 8470 §3)."""
        return bool(self._handshake_complete)

    @property
    def over(self) -> bool:
        """One of both ends has said that it is the end."""
        return self._close_event is not None

    @property
    def cipher(self) -> str:
        """The cipher's name as OpenSSL writes it, e.g. ``TLS_AES_128_GCM_SHA256``."""
        suite = self.get_cipher()
        return "" if suite is None else f"TLS_{suite.name}"

    @property
    def remote(self) -> Any:
        """The address of the way that is in use."""
        return None if self._core is None else self._core.active_path[2]

    def unsent(self, stream: int) -> int:
        """Bytes of a stream that were not sent yet."""
        return 0 if self._core is None else int(self._core.get_send_buffer_size(stream))

    def writable(self, stream: int) -> bool:
        """Whether the peer still takes anything on a stream."""
        return bool(self._stream_can_send(stream))

    def release(self) -> None:
        """Hold it no longer; what waited becomes events."""
        self.held = False
        self._drain_core()

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, Any]]:
        """As qh3's, which reads each packet again for a log that is not kept, and raises an error where a client has
        not yet shown its address and what is next to be sent would be more than three times what it has sent."""
        core = self._core
        datagrams: list[tuple[bytes, Any]] = []
        if core is not None:
            try:
                while (sent := core.poll_transmit(now)) is not None:
                    datagrams.append((sent[0], sent[1]))
            except RuntimeError as error:
                if _NO_ROOM not in str(error):
                    raise
        return datagrams

    def _drain_core(self) -> None:
        core = self._core
        if self.held and core is not None and core.state in _ALIVE:
            return
        super()._drain_core()

    def _create_core(self, remote_addr: Any, initial_dcid: bytes, now: float) -> None:
        if not self._nameless:
            super()._create_core(remote_addr, initial_dcid, now)
            return
        super()._create_core(remote_addr, b"", now)
        core = self._require_core()
        suite = tls.CipherSuite.AES_128_GCM_SHA256
        hp_name, aead_name = CIPHER_SUITES[suite]
        drawn = tls.hkdf_extract(256, _INITIAL_SALT, initial_dcid)
        for direction, label in (("receive", b"client in"), ("send", b"server in")):
            secret = tls.hkdf_expand_label(256, drawn, label, b"", 32)
            key, iv, hp = derive_key_iv_hp(cipher_suite=suite, secret=secret, version=1)
            core.install_packet_key(
                direction, int(tls.Epoch.INITIAL), (aead_name.decode(), hp_name.decode()), key, iv, hp, 0
            )

    def _create_tls(self, remote_source_cid: bytes | None) -> QuicTlsBridge:
        bridge = super()._create_tls(b"" if self._nameless else remote_source_cid)
        context: Any = bridge.tls  # two of its methods are put before with ours
        if not self._early:
            context._max_early_data = None
        handle_hello, handle_message = context._server_handle_hello, context.handle_message

        def hello(message: Buffer, *outputs: Buffer) -> None:
            """qh3 has one certificate; which one is decided here, by the name asked for."""
            said = message.data_slice(0, message.capacity)
            self.server_name = (tls.pull_client_hello(Buffer(data=said)).server_name or "").lower()
            chosen, self.ja4 = self._choose(self.server_name, said)
            context.certificate = chosen.certificate
            context.certificate_chain = chosen.chain
            context.certificate_private_key = chosen.key
            handle_hello(message, *outputs)

        def bounded(data: bytes, output: Any, epoch: int = -1) -> None:
            if len(context._receive_buffer) + len(data) > HELLO_LONGEST:
                raise tls.AlertDecodeError("a handshake message that is too long")
            handle_message(data, output, epoch)

        context._server_handle_hello = hello
        context.handle_message = bounded
        return bridge
