"""What a handshake settles before libssl's answer leaves: the protocol, or that there is none.

Seen to fail: with the hello's first part alone kept; with an answer that asks for another group taken for a refusal.
"""

from __future__ import annotations

import ssl

import pytest

from edgeproxy.config.tls import TlsConfig
from edgeproxy.tls import client_hello, openssl
from edgeproxy.tls.context import load, new_context
from edgeproxy.tls.handshake import Context
from tests.support.certificates import Authority
from tests.support.handshakes import client_context, meet

ALERT = b"\x15\x03\x03\x00\x02\x02\x78"  # RFC 8446 §5.1, §6: fatal, no_application_protocol


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("handshake"))


@pytest.fixture(scope="module", params=["modern", "intermediate"])
def server(authority: Authority, request: pytest.FixtureRequest) -> Context:
    context = new_context(TlsConfig(on_demand=True, profile=request.param), ("h2", "http/1.1"))
    load(context, *map(str, authority.issue("a.example")))
    return context


def hello(*protocols: str) -> bytes:
    """A ClientHello as it is on the wire."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if protocols:
        context.set_alpn_protocols(protocols)
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="a.example").do_handshake()
    return out.read()


def told(server: Context, *pieces: bytes) -> bytes:
    """What a server says to a hello that comes in pieces."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = server.wrap_bio(incoming, outgoing, server_side=True)
    for piece in (b"", *pieces):
        incoming.write(piece)
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            break
    return outgoing.read()


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [(("h2", "http/1.1"), "h2"), (("http/1.1", "h2"), "h2"), (("x", "http/1.1"), "http/1.1"), ((), None)],
)
def test_the_first_of_ours_that_is_offered_is_spoken(
    authority: Authority, server: ssl.SSLContext, offered: tuple[str, ...], spoken: str | None
) -> None:
    client = client_context(str(authority.file), *offered)
    for _ in range(2):
        assert meet(client, server, "a.example").client.selected_alpn_protocol() == spoken


@pytest.mark.parametrize("offered", ["h3", "xh2", "\x02h2"])
def test_who_offers_others_alone_is_told_so(authority: Authority, server: ssl.SSLContext, offered: str) -> None:
    for _ in range(2):
        with pytest.raises(ssl.SSLError, match=r"(?i)no application protocol"):
            meet(client_context(str(authority.file), offered), server, "a.example")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_so_is_who_speaks_an_older_version(authority: Authority, version: ssl.TLSVersion) -> None:
    server = new_context(TlsConfig(on_demand=True, profile="intermediate"), ("h2",))
    load(server, *map(str, authority.issue("b.example")))
    for offered, refused in (("http/1.1", True), ("h2", False)):
        client = client_context(str(authority.file), offered)
        client.maximum_version = version
        if refused:
            with pytest.raises(ssl.SSLError, match=r"(?i)no application protocol"):
                meet(client, server, "b.example")
        else:
            assert meet(client, server, "b.example").client.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize("offered", [("h2",), ("h3",), ()])
def test_a_hello_that_comes_byte_by_byte_is_answered_as_in_one(server: Context, offered: tuple[str, ...]) -> None:
    whole = hello(*offered)
    said = told(server, *(whole[at : at + 1] for at in range(len(whole))))
    assert (said == ALERT) == (offered == ("h3",)) == (told(server, whole) == ALERT)


@pytest.mark.parametrize(("offered", "refused"), [("h2", False), ("h3", True)])
def test_a_hello_that_is_asked_for_again_counts_once(
    authority: Authority, server: Context, offered: str, refused: bool
) -> None:
    """RFC 8446 §4.1.4: the client's key is of a group that the server does not take; another one in its list is."""
    client = client_context(str(authority.file), offered)
    assert openssl._library is not None
    pointer = openssl._pointer(client)
    assert openssl._library.SSL_CTX_ctrl(pointer, openssl._CTRL_SET_GROUPS_LIST, 0, b"P-521:X25519")
    if refused:
        with pytest.raises(ssl.SSLError, match=r"(?i)no application protocol"):
            meet(client, server, "a.example")
    else:
        assert meet(client, server, "a.example").client.selected_alpn_protocol() == "h2"


def test_an_offer_that_is_too_long_to_be_looked_at_is_refused(server: Context) -> None:
    offered = [f"{number:05}".ljust(255, "x") for number in range(client_hello.LONGEST // 256)]
    assert told(server, hello(*offered)) == ALERT
