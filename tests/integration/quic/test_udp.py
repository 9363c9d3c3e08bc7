"""Datagrams on the loop, both ways, many at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from edgeproxy.quic.tokens import Address
from edgeproxy.quic.udp import Datagrams, Received


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.socket(type=socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as theirs:
        for sock in (ours, theirs):
            sock.bind(("127.0.0.1", 0))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        theirs.settimeout(5)
        yield ours, theirs


async def test_what_comes_is_given_with_whence_it_came(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    got: Received = []
    datagrams = Datagrams(ours, got.extend)
    for number in range(40):
        theirs.sendto(b"%d" % number, ours.getsockname())
    for _ in range(500):
        if len(got) == 40:
            break
        await asyncio.sleep(0.01)
    assert [data for data, _ in got] == [b"%d" % number for number in range(40)]
    assert {address for _, address in got} == {theirs.getsockname()}
    datagrams.close()


async def test_what_is_sent_together_arrives_in_order_and_whole(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    datagrams = Datagrams(ours, lambda _: None)
    sent = [bytes((number,)) * 1_200 for number in range(30)] + [b"short"]
    datagrams.send(sent, theirs.getsockname())
    assert [theirs.recv(2_000) for _ in sent] == sent
    datagrams.close()
    assert repr(datagrams) == "<Datagrams 0 waiting>"


async def test_one_that_is_too_long_for_the_way_takes_no_other_along(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    datagrams = Datagrams(ours, lambda _: None)
    datagrams.send([b"first", bytes(70_000), b"last"], theirs.getsockname())
    assert [theirs.recv(100) for _ in range(2)] == [b"first", b"last"]
    datagrams.close()


async def test_an_address_where_nobody_is_harms_nobody_else(sockets: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = sockets
    with socket.socket(type=socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        nobody: Address = gone.getsockname()
    datagrams = Datagrams(ours, lambda _: None)
    for _ in range(5):
        datagrams.send([b"anybody?"], nobody)
        datagrams.send([b"you"], theirs.getsockname())
        await asyncio.sleep(0)
    assert [theirs.recv(100) for _ in range(5)] == [b"you"] * 5
    datagrams.close()
