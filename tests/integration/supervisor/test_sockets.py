import os
import socket
import stat
from pathlib import Path

import pytest

from edgeproxy.config.units import AddressValue
from edgeproxy.supervisor.sockets import ListenError, Sockets, listen_alone
from tests.support.ports import accepts, free_port


@pytest.fixture
def sockets():
    sockets = Sockets()
    yield sockets
    sockets.close()


@pytest.fixture
def tcp():
    return AddressValue("127.0.0.1", free_port())


@pytest.fixture
def unix(tmp_path):
    return AddressValue("", 0, str(tmp_path / "edge.sock"))


def test_each_worker_has_a_tcp_socket_of_its_own_and_they_share_the_unix_one(sockets, tcp, unix):
    sockets.provide([tcp, unix], 2)
    first, second = (sockets.lend([tcp, unix], number) for number in range(2))
    assert first[str(tcp)] is not second[str(tcp)]
    assert first[str(unix)] is second[str(unix)]
    assert all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for sock in first.values())


def test_only_the_addresses_asked_for_are_lent(sockets, tcp, unix):
    sockets.provide([tcp, unix], 1)
    assert list(sockets.lend([tcp], 0)) == [str(tcp)]


def test_what_is_open_stays_open_when_more_is_wanted(sockets, tcp):
    sockets.provide([tcp], 1)
    first = sockets.lend([tcp], 0)[str(tcp)]
    sockets.provide([tcp], 3)
    assert sockets.lend([tcp], 0)[str(tcp)] is first
    assert len({sockets.lend([tcp], number)[str(tcp)].fileno() for number in range(3)}) == 3


def test_when_one_address_fails_no_new_socket_is_left(sockets, tcp):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = AddressValue("127.0.0.1", other.getsockname()[1])
        with pytest.raises(ListenError, match=f"cannot listen on {taken}: another process listens there"):
            sockets.provide([tcp, taken], 2)
    assert not accepts(tcp.port)
    assert repr(sockets) == "<Sockets {}>"


def test_what_is_kept_no_more_is_closed(sockets, tcp, unix, tmp_path):
    sockets.provide([tcp, unix], 2)
    sockets.keep([tcp], 1)
    assert repr(sockets) == f"<Sockets {{'{tcp}': 1}}>"
    assert not (tmp_path / "edge.sock").exists()
    assert accepts(tcp.port)


def test_the_accept_queue_of_a_dead_worker_outlives_it(sockets, tcp):
    sockets.provide([tcp], 1)
    dead = sockets.lend([tcp], 0)[str(tcp)].dup()
    with socket.create_connection(tcp[:2]) as client:
        dead.close()
        connection, _ = sockets.lend([tcp], 0)[str(tcp)].accept()
        with connection:
            connection.sendall(b"x")
            assert client.recv(1) == b"x"


def test_addresses_are_not_shared_with_another_owner_of_so_reuseport(sockets, tcp):
    sockets.provide([tcp], 2)
    with pytest.raises(ListenError, match="another process"):
        Sockets().provide([tcp], 2)
    with pytest.raises(ListenError, match="another process"):
        listen_alone(tcp)


def test_a_unix_socket_is_never_open_to_everybody(sockets, unix):
    before = os.umask(0)
    try:
        sockets.provide([unix], 1)
        assert stat.S_IMODE(Path(unix.path).stat().st_mode) == 0o660
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_a_unix_socket_somebody_listens_on_is_left_to_them(sockets, unix):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(unix.path)
        other.listen()
        with pytest.raises(ListenError, match="another process"):
            sockets.provide([unix], 1)
        assert stat.S_ISSOCK(Path(unix.path).stat().st_mode)


def test_the_advice_fits_the_error(tmp_path):
    with pytest.raises(ListenError, match="no such folder"):
        listen_alone(AddressValue("", 0, str(tmp_path / "missing" / "s")))
    with pytest.raises(ListenError, match="no such address"):
        listen_alone(AddressValue("203.0.113.1", free_port()))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_released_address_begins_no_connection_and_ends_those_begun(sockets, host):
    address = AddressValue(host, free_port())
    sockets.provide([address], 1)
    worker = sockets.lend([address], 0)[str(address)].dup()
    with worker, socket.create_connection((host, address.port)) as before:
        sockets.release()
        with pytest.raises(TimeoutError):
            socket.create_connection((host, address.port), timeout=0.2)
        before.sendall(b"asked")
        accepted, _ = worker.accept()
        with accepted:
            assert accepted.recv(10) == b"asked"
            accepted.sendall(b"answered")
            assert before.recv(10) == b"answered"
    assert not accepts(address.port, host), "the last worker has left it"


def test_a_released_unix_socket_can_be_found_no_more_but_answers_who_has_found_it(sockets, unix):
    sockets.provide([unix], 1)
    worker = sockets.lend([unix], 0)[str(unix)].dup()
    with worker, socket.socket(socket.AF_UNIX) as before:
        before.connect(unix.path)
        sockets.release()
        assert not Path(unix.path).exists()
        worker.accept()[0].close()


def test_datagrams_come_on_the_port_that_connections_have(sockets):
    both = [AddressValue("127.0.0.1", 0), AddressValue("127.0.0.1", 0, datagrams=True)]
    sockets.provide(both, 2)
    lent = [sockets.lend(both, worker) for worker in range(2)]
    assert len({sock.getsockname() for each in lent for sock in each.values()}) == 1
    assert {sock.type for sock in lent[0].values()} == {socket.SOCK_STREAM, socket.SOCK_DGRAM}
    assert len({each["udp:127.0.0.1:0"].fileno() for each in lent}) == 2


def test_a_port_where_somebody_takes_datagrams_is_not_taken_too(sockets):
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = AddressValue("127.0.0.1", other.getsockname()[1], datagrams=True)
        with pytest.raises(ListenError, match=r"cannot listen on udp:127\.0\.0\.1:.*another process listens there"):
            sockets.provide([taken], 1)
