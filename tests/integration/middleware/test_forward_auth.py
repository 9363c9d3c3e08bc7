"""Forward authentication at a running node, before every cached answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Answer, ask
from tests.support.origin import RecordedRequest, answer
from tests.support.processes import EdgeProcess, wait_until
from tests.support.site import Site, config, request

SESSION = b"c00k1e-of-alice"


def decide(asked: RecordedRequest) -> bytes:
    """The service: who bears the session passes, others are sent to sign in."""
    if asked.get(b"cookie") == b"session=" + SESSION:
        return answer(200, b"", b"X-User: alice", b"Set-Cookie: inner=1")
    return answer(302, b"", b"Location: https://login.example/", b"X-Inner: 1", reason=b"Found")


@pytest.fixture(scope="module")
def service() -> Iterator[Site]:
    with Site() as service:
        service.on(b"/verify", decide)
        yield service


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/kept", answer(200, b"kept", b"Cache-Control: public, max-age=60"))
        site.on(b"/own", answer(200, b"own", b"Cache-Control: max-age=60"))
        yield site


@pytest.fixture(scope="module")
def edge(site: Site, service: Site) -> Iterator[EdgeProcess]:
    stage = {"url": service.url + "/verify", "copy": "x-user"}
    with EdgeProcess(config(site.url, middleware={"forward_auth": stage})) as edge:
        yield edge


@pytest.fixture
def get(edge: EdgeProcess) -> Callable[..., Answer]:
    return lambda target, *fields: ask(edge.address, request(target, *fields)).final[0]


ALICE = b"Cookie: session=" + SESSION


def test_who_the_service_lets_in_passes_under_the_name_it_tells(get: Callable[..., Answer], site: Site) -> None:
    site.clear()
    passed = get(b"/a", ALICE, b"X-User: root")
    assert (passed.status, passed.get(b"set-cookie")) == (200, None)
    assert site.requests[0].all(b"x-user") == [b"alice"]


def test_others_get_the_services_answer(get: Callable[..., Answer], site: Site) -> None:
    site.clear()
    refused = get(b"/a", b"X-User: root")
    assert (refused.status, refused.get(b"location")) == (302, b"https://login.example/")
    assert (refused.get(b"x-inner"), refused.get(b"cache-control")) == (None, b"no-store")
    assert site.requests == []


def test_the_service_is_asked_before_every_hit(get: Callable[..., Answer], site: Site, service: Site) -> None:
    assert get(b"/kept", ALICE).status == 200
    site.clear()
    service.clear()
    hit = get(b"/kept", ALICE)
    assert (hit.body, b"hit" in (hit.get(b"cache-status") or b"")) == (b"kept", True)
    assert get(b"/kept").status == 302
    assert (len(service.requests), site.requests) == (2, [])
    assert service.requests[0].get(b"x-forwarded-uri") == b"/kept"


def test_what_the_origin_does_not_call_public_is_kept_for_nobody(get: Callable[..., Answer], site: Site) -> None:
    site.clear()
    for _ in range(2):
        assert get(b"/own", ALICE).body == b"own"
    assert len(site.requests) == 2


def test_no_credential_is_in_any_log(edge: EdgeProcess, get: Callable[..., Answer]) -> None:
    assert get(b"/logged", ALICE).status == 200
    wait_until(lambda: '"target":"/logged"' in edge.logs(), "the access log is written")
    assert SESSION.decode() not in edge.logs()
    assert "Traceback" not in edge.logs()
    assert "internal error" not in edge.logs()
