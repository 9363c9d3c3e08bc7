"""A client over QUIC: its datagrams and its clock, what waits to be sent to it, and its end."""

# ruff: noqa: BLE001 (whatever a peer brings about in QUIC is the end of its connection, and of nothing else)
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from qh3.quic.connection import QuicConnectionError
from qh3.quic.events import (
    ConnectionIdIssued,
    ConnectionIdRetired,
    ConnectionTerminated,
    HandshakeCompleted,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

from edgeproxy.http3.codes import EXCESSIVE_LOAD, INTERNAL_ERROR, NO_ERROR, ProtocolError
from edgeproxy.listener import priority
from edgeproxy.listener.client import Client
from edgeproxy.listener.http3.stream import AHEAD, ENOUGH, Stream
from edgeproxy.pipeline.exchange import Peer, TLSInfo
from edgeproxy.pipeline.runner import report

if TYPE_CHECKING:
    from edgeproxy.listener.http3.datagrams import QuicListener
    from edgeproxy.quic.connection import ServerConnection
    from edgeproxy.quic.tokens import Address

TURNS: Final = 16  # times what was sent makes room for more before others have their turn
ALL: Final = AHEAD  # bytes that lie ready on one connection, beyond which other streams wait for their turn
LEAST: Final = priority.URGENCIES
STUCK: Final = 0.25  # seconds; a stream of which nothing has gone for so long makes no other wait
TICK: Final = 0.0005  # seconds by which a timer may ring early


class QuicClient(Client):
    """One client. ``listener`` has its datagrams; ``quic`` makes bytes of streams of them."""

    def __init__(self, listener: QuicListener, quic: ServerConnection, address: Address) -> None:
        super().__init__(listener.server, listener.endpoint, Peer(address[0], address[1], "", listener.local, None))
        self._listener = listener
        self._quic = quic
        self._address = address
        self._waiting: dict[int, Stream] = {}  # those with more to write than was put into QUIC
        self._admitted = False
        self._counted = ""  # the address it is counted under
        self._turns = 0
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.now = self._clock
        self.idle_since = self._clock()
        self.deadline = self.idle_since + self._limits.head_timeout

    # What comes.

    def receive(self, datagrams: list[bytes], address: Address, now: float) -> None:
        """What came of it from one address, in order; :meth:`flush` is to follow."""
        try:
            self._quic.receive_many_datagrams(datagrams, address, now)
            if address != self._address and self._quic.remote == address:
                self._address = address
                self._peer = self._peer._replace(address=address[0], port=address[1])
        except Exception as error:
            self._break(error)
        self._take_events()

    def _take_events(self) -> None:
        quic = self._quic
        try:
            event = quic.next_event()
            while event is not None:
                if isinstance(event, StreamDataReceived):
                    if not self._closing:
                        self._receive(event.stream_id, event.data, event.end_stream)
                elif isinstance(event, StreamReset):
                    self._reset(event.stream_id)
                elif isinstance(event, StopSendingReceived):
                    self._stop(event.stream_id)
                elif isinstance(event, HandshakeCompleted):
                    if not self._closing:
                        self._greet()
                elif isinstance(event, ConnectionIdIssued):
                    self._listener.add(event.connection_id, self)
                elif isinstance(event, ConnectionIdRetired):
                    self._listener.discard(event.connection_id)
                elif isinstance(event, ConnectionTerminated):
                    self._listener.forget(self)
                event = quic.next_event()
        except ProtocolError as error:
            self._listener.count_error(error.code)
            self.leave(error.code, error.detail)
        except Exception as error:
            self._break(error)
        if quic.over and not self._closing:
            self._gone()

    def _greet(self) -> None:
        """The handshake is over: the connection counts."""
        self.describe()
        self._counted = self._peer.address
        self.idle_since = self._clock()
        self.deadline = self.idle_since + self._idle_timeout
        self._listener.established(self)
        self._admitted = True
        if not self._server.admit(self, self._counted):
            self.leave(EXCESSIVE_LOAD)

    def describe(self) -> None:
        """Put what the handshake has settled into what exchanges are told of their client."""
        quic = self._quic
        self._peer = self._peer._replace(tls=TLSInfo("TLSv1.3", quic.cipher, quic.server_name, None, quic.ja4))

    def _receive(self, number: int, data: bytes, ended: bool) -> None:
        raise NotImplementedError

    def _reset(self, number: int) -> None:
        raise NotImplementedError

    def _stop(self, number: int) -> None:
        raise NotImplementedError

    # What goes.

    def flush(self) -> None:
        """Send what is to be sent, and set the clock."""
        self._flushing = False
        now = self._clock()
        turns = TURNS
        try:
            while True:
                if self._waiting:
                    self._pump(now)
                sent = self._quic.datagrams_to_send(now)
                if not sent:
                    break
                self._listener.send(sent)
                turns -= 1
                if not self._waiting:
                    break
                if not turns:
                    self.flush_soon()
                    break
            self._set_timer(self._quic.get_timer())
        except Exception as error:
            self._break(error)

    def flush_soon(self) -> None:
        """Send when all that is done now has put in what it has."""
        if not self._flushing:
            self._flushing = True
            self._server.call_soon(self.flush)

    def _pump(self, now: float) -> None:
        """Put more into QUIC, for the most urgent first; those of one urgency take turns (RFC 9218 §10)."""
        room, least = ALL, LEAST
        waiting = list(self._waiting.values())
        if len(waiting) > 1:
            waiting.sort(key=_rank)
        for stream in waiting:
            if stream.urgency > least:
                break
            level = self._quic.unsent(stream.number)
            if level < stream.level:
                stream.moved = now
            stream.level = level
            if level < ENOUGH and room > 0:
                self._turns += 1
                stream.turn = self._turns
                if not stream.feed(AHEAD - level):
                    self._waiting.pop(stream.number, None)
            if now - stream.moved < STUCK:
                room -= stream.level
                if stream.has_more:
                    least = stream.urgency

    def _set_timer(self, at: float | None) -> None:
        """A timer that is set already and rings earlier is left to: it costs less to look again than to set it anew."""
        if at is None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is None or at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._listener.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        try:
            at, now = self._quic.get_timer(), self._clock()
            if at is not None and at <= now + TICK:
                self._quic.handle_timer(max(at, now))
        except Exception as error:
            self._break(error)
        self._take_events()
        self.flush()

    # What streams ask of it.

    def enqueue(self, number: int, data: bytes, *, ended: bool) -> bool:
        """Put bytes into a stream; whether the client still takes them."""
        if self._closing:
            return False
        try:
            self._quic.send_stream_data(number, data, ended)
        except QuicConnectionError:
            return False
        self.flush_soon()
        return True

    def unsent(self, number: int) -> int:
        """Bytes of a stream that QUIC has and could not send yet."""
        return 0 if self._closing else self._quic.unsent(number)

    def wait(self, stream: Stream) -> None:
        """Let a stream be told when it may put more into QUIC."""
        self._waiting[stream.number] = stream
        self.deadline = min(self.deadline, stream.deadline)

    def reset(self, number: int, code: int) -> None:
        """Break our side of a stream off."""
        if not self._closing:
            try:
                self._quic.reset_stream(number, code)
            except QuicConnectionError:
                return  # it has ended
            self.flush_soon()

    def stop(self, number: int, code: int = NO_ERROR) -> None:
        """Nobody reads what the client still sends on a stream."""
        if not self._closing:
            try:
                self._quic.stop_stream(number, code)
            except QuicConnectionError:
                return
            self.flush_soon()

    # Reading stops while anybody holds it.

    def hold(self) -> None:
        self._holds += 1
        self._quic.held = True

    def unhold(self) -> None:
        if self._holds:
            self._holds -= 1
            if not self._holds and not self._closing:
                self._server.call_soon(self._release)

    def _release(self) -> None:
        if self._holds or self._closing:
            return
        try:
            self._quic.release()
        except Exception as error:
            self._break(error)
        self._take_events()
        self.flush()

    # The end.

    def leave(self, code: int = NO_ERROR, detail: str = "") -> None:
        """Tell the client that the connection ends, and end all that goes on."""
        if not self._closing:
            self._quic.close(error_code=code, reason_phrase=detail)
            self._gone()
            self.flush()

    def close(self, *, linger: bool = False) -> None:
        self.leave()

    def abort(self) -> None:
        self.leave()

    def drop(self) -> None:
        """Nothing is to be sent to it any more."""
        self._set_timer(None)
        if not self._closing:
            self._gone()

    def _break(self, error: Exception) -> None:
        """QUIC's core could make no sense of what came, or we could not."""
        if not isinstance(error, QuicConnectionError | ValueError):
            report(error)
        try:
            self.leave(INTERNAL_ERROR)
        except Exception:
            self._listener.forget(self)

    def _gone(self) -> None:
        """Nobody is there any more."""
        self._closing = self._deaf = True
        self._listener.established(self)
        self._waiting.clear()
        if self._admitted:
            self._server.forget(self, self._counted)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._peer.address}{' closing' if self._closing else ''}>"


def _rank(stream: Stream) -> tuple[int, int]:
    return stream.urgency, stream.turn
