"""Cache poisoning: what one client sends beside the key never changes what another is given.

The origin writes into its answer whatever an origin might act on, and says that the answer may be kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.client import ask
from tests.support.inprocess import InProcessEdge
from tests.support.origin import RecordedRequest, RecordingOrigin, answer
from tests.support.site import config
from tests.support.site import request as victims_request

EVIL = b"evil"

# Fields that well-known frameworks and servers build links, schemes, paths or methods from.
ACTED_ON = (
    *(b"host", b"forwarded", b"x-forwarded-host", b"x-forwarded-scheme", b"x-forwarded-proto", b"x-forwarded-port"),
    *(b"x-forwarded-server", b"x-forwarded-prefix", b"x-forwarded-ssl", b"x-host", b"x-original-host"),
    *(b"x-original-url", b"x-rewrite-url", b"x-http-method-override", b"x-http-method", b"x-method-override"),
)


def obedient(request: RecordedRequest) -> bytes:
    said = [request.method, request.target, request.body, *(request.get(name) or b"" for name in ACTED_ON)]
    return answer(200, b"\n".join(said), b"Cache-Control: max-age=600", b"Content-Type: text/plain")


@pytest.fixture
def origin() -> Iterator[RecordingOrigin]:
    with RecordingOrigin(obedient) as origin:
        yield origin


@pytest.fixture
def edge(origin: RecordingOrigin) -> Iterator[InProcessEdge]:
    key = {"query": {"tracking": "drop"}}
    whole = config(origin.url, middleware={"bot_check": False})
    whole["routes"].append(
        {"name": "shop", "match": {"path": "/shop/"}, "pool": "site", "middleware": {"cache": {"key": key}}}
    )
    with InProcessEdge(whole) as edge:
        yield edge
    assert not edge.faults


def attack(target: bytes = b"/", *lines: bytes, host: bytes = b"a.example", body: bytes = b"") -> bytes:
    head = [b"GET %b HTTP/1.1" % target, b"Host: " + host, *lines]
    if body:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def victim(edge: InProcessEdge, target: bytes = b"/") -> tuple[bytes, bytes]:
    """What somebody else is given for the URL, and what the cache says of it."""
    given = ask(edge.address, victims_request(target, b"Connection: close")).final[0]
    return given.body, given.get(b"cache-status") or b""


@pytest.mark.parametrize("name", [name for name in ACTED_ON if name != b"host"])
def test_a_field_beside_the_key_reaches_no_kept_answer(edge: InProcessEdge, name: bytes) -> None:
    values = {b"forwarded": b"host=evil.example;proto=evil", b"x-forwarded-port": b"6666"}
    value = values.get(name, b"evil.example")
    ask(edge.address, attack(b"/", b"%b: %b" % (name, value), b"Connection: close"))
    body, _ = victim(edge)
    assert EVIL not in body
    assert b"6666" not in body
    assert victim(edge)[1].startswith(b"edgeproxy; hit"), "the answer is kept, so there was something to poison"


def test_a_method_to_be_taken_for_another_passes_and_is_not_kept(edge: InProcessEdge, origin: RecordingOrigin) -> None:
    given = ask(edge.address, attack(b"/", b"X-HTTP-Method-Override: POST", b"Connection: close")).final[0]
    assert given.get(b"cache-status") == b"edgeproxy; fwd=bypass"
    assert origin.requests[-1].get(b"x-http-method-override") == b"POST"


def test_a_get_with_a_body_is_not_kept(edge: InProcessEdge, origin: RecordingOrigin) -> None:
    ask(edge.address, attack(b"/", b"Connection: close", body=EVIL))
    assert origin.requests[-1].body == EVIL
    body, status = victim(edge)
    assert EVIL not in body
    assert b"stored" in status


@pytest.mark.parametrize("host", [b"A.EXAMPLE", b"a.example:80", b"A.Example.", b"a.example:"])
def test_a_hosts_spelling_is_not_told_to_the_origin(edge: InProcessEdge, host: bytes) -> None:
    ask(edge.address, attack(b"/", b"Connection: close", host=host))
    body, status = victim(edge)
    assert status == b"edgeproxy; hit"
    assert host not in body


def test_a_port_is_part_of_the_key(edge: InProcessEdge) -> None:
    ask(edge.address, attack(b"/", b"Connection: close", host=b"a.example:6666"))
    assert b"6666" not in victim(edge)[0]


@pytest.mark.parametrize(
    "target",
    [
        *(b"//", b"/x/..//", b"/%2f", b"/%2F", b"/.%2f", b"/%5c", b"/;evil", b"/%3bevil", b"/%3fevil", b"/%23evil"),
        *(b"/%0aevil", b"/%0d%0aX:evil", b"/?evil", b"/%2e%2e%2fevil", b"/?%00evil"),
    ],
)
def test_a_path_that_may_be_read_as_another_is_another_key(
    edge: InProcessEdge, origin: RecordingOrigin, target: bytes
) -> None:
    ask(edge.address, attack(target, b"Connection: close"))
    asked = [request.target for request in origin.requests]
    body, _ = victim(edge)
    assert body.split(b"\n")[1] == b"/"
    assert asked == [] or asked[0] != b"/"


@pytest.mark.parametrize("target", [b"/x/../shop", b"/./shop", b"/%73hop", b"/shop/."])
def test_what_is_the_same_path_is_asked_for_in_one_spelling(
    edge: InProcessEdge, origin: RecordingOrigin, target: bytes
) -> None:
    ask(edge.address, attack(target, b"Connection: close"))
    assert origin.requests[0].target in {b"/shop", b"/shop/"}


@pytest.mark.parametrize(
    "query",
    [
        b"utm_source=evil",
        b"utm_source=1;id=evil",
        b"utm_source=1%26id=evil",
        b"utm_source=1&utm_medium=2&fbclid=evil",
        b"%75tm_source=evil",
        b"utm_source=1%0aid=evil",
    ],
)
def test_a_parameter_that_is_no_part_of_the_key_reaches_no_origin(
    edge: InProcessEdge, origin: RecordingOrigin, query: bytes
) -> None:
    ask(edge.address, attack(b"/shop/?" + query, b"Connection: close"))
    assert origin.requests[0].target == b"/shop/"
    assert victim(edge, b"/shop/")[1] == b"edgeproxy; hit"
