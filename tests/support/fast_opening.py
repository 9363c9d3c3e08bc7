"""Asks an origin three times with TCP Fast Open, in a network of its own whose kernel takes part in it on both ends;
prints for each whether the request came with the SYN. Run it under `unshare --net`."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
from pathlib import Path

import uvloop

from edgeproxy.config.pools import PoolConfig, TimeoutsConfig
from edgeproxy.config.units import parse_endpoint
from edgeproxy.http.message import Request
from edgeproxy.origin.client import Connection
from edgeproxy.origin.connect import Connector
from edgeproxy.origin.wire import Call

SIOCSIFFLAGS, IFF_UP = 0x8914, 1
TCPI_OPT_SYN_DATA = 32
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Owner:
    """Nobody in particular."""

    timeouts = TimeoutsConfig(connect=5)

    def ended(self, connection: Connection, error: object, status: int) -> None:
        """What is asked comes to who asked."""

    def lost(self, connection: Connection) -> None:
        """It is not kept."""


def prepare() -> None:
    """Bring the loopback interface up, and allow fast opening to clients and servers."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
    Path("/proc/sys/net/ipv4/tcp_fastopen").write_text("3")


async def main() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64)
        print("with the SYN" if info[5] & TCPI_OPT_SYN_DATA else "later")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    await asyncio.start_server(answer, sock=listener)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    connector = Connector("site", PoolConfig.model_validate({"endpoints": [url], "socket": {"fast_open": True}}))
    connector.start()
    dialer = connector.dialer(parse_endpoint(url), ("127.0.0.1", "127.0.0.2"))
    until = asyncio.get_running_loop().time() + 5
    for _ in range(3):
        connection = await dialer.open(Owner(), until)
        call = Call(Request(b"GET", b"/", {}), until)
        if (await connection.send(call, call.head(b"origin.example"))).body != b"ok":
            sys.exit("no answer")
        connection.abort()


if __name__ == "__main__":
    prepare()
    uvloop.run(main())
