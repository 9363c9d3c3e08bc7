"""A name server (RFC 1035) on loopback that answers what a test tells it to, over UDP and TCP."""

from __future__ import annotations

import asyncio
from typing import Self, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.support.ports import free_port


class NameServer:
    """Use it as an async context manager. ``records``: (name, type) to lines of data; a name that is
    in none of them does not exist. ``ttl`` in seconds, of all; ``silent``: answer nothing; ``rcode``:
    answer that alone; ``truncated``: send those who ask over UDP to TCP. ``asked`` holds every question.
    """

    def __init__(self, records: dict[tuple[str, str], list[str]] | None = None, ttl: int = 300) -> None:
        self.records = records or {}
        self.ttl = ttl
        self.silent: set[str] = set()
        """Types of records that are not answered for."""
        self.rcode: dns.rcode.Rcode | None = None
        self.truncated = False
        self.asked: list[tuple[str, str, str]] = []
        """Name, type, and `udp` or `tcp`."""
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), ("127.0.0.1", self.port))
        self._tcp = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._tcp.close()

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, transport))
        if kind in self.silent:
            return None
        response = dns.message.make_response(query)
        if self.rcode is not None:
            response.set_rcode(self.rcode)
        elif self.truncated and transport == "udp":
            response.flags |= dns.flags.TC
        elif alias := self.records.get((name, "CNAME")):
            response.answer.append(dns.rrset.from_text_list(question.name, self.ttl, "IN", "CNAME", alias))
            target = dns.name.from_text(alias[0])
            if lines := self.records.get((target.to_text(omit_final_dot=True), kind)):
                response.answer.append(dns.rrset.from_text_list(target, self.ttl, "IN", kind, lines))
        elif lines := self.records.get((name, kind)):
            response.answer.append(dns.rrset.from_text_list(question.name, self.ttl, "IN", kind, lines))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        if (wire := self.answer(await reader.readexactly(length), "tcp")) is not None:
            writer.write(len(wire).to_bytes(2, "big") + wire)
        writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (wire := self._server.answer(data, "udp")) is not None:
            self._transport.sendto(wire, addr)
