"""Basic authentication at a running node: who passes, that it is paid for once, and that nothing shows a password."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import bcrypt
import pytest

from edgeproxy.identity.passwords import hash_password
from tests.support.client import Answer, RawClient
from tests.support.origin import answer
from tests.support.processes import EdgeProcess, wait_until
from tests.support.site import Site, config, request

PASSWORD, IMPORTED = "wonderland-8261", "builder-9173"


def credentials(name: str, password: str) -> bytes:
    return b"Authorization: Basic " + b64encode(f"{name}:{password}".encode())


ALICE, BOB = credentials("alice", PASSWORD), credentials("bob", IMPORTED)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/kept", answer(200, b"kept", b"Cache-Control: public, max-age=60"))
        site.on(b"/own", answer(200, b"own", b"Cache-Control: max-age=60"))
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    stage = {
        "passwords": {"alice": hash_password(PASSWORD)},
        "users_file": "users.txt",
        "pass": "x-user",
        "failures": "20/h",
        "concurrency": 1,
    }
    edge = EdgeProcess(config(site.url, middleware={"basic_auth": stage}, limits={"connections_per_client": 1000}))
    hashed = bcrypt.hashpw(IMPORTED.encode(), bcrypt.gensalt(5)).replace(b"$2b$", b"$2y$").decode()
    (edge.folder / "users.txt").write_text(f"bob:{hashed}\n")
    with edge:
        yield edge


@pytest.fixture
def get(edge: EdgeProcess) -> Callable[..., Answer]:
    def get(target: bytes, *fields: bytes, source: str | None = None) -> Answer:
        with RawClient(edge.address, timeout=30, source=source) as client:
            client.send(request(target, *fields))
            return client.answers(1, (b"GET",)).final[0]

    return get


@pytest.mark.parametrize(("field", "name"), [(ALICE, b"alice"), (BOB, b"bob")])
def test_a_user_passes_and_the_origin_is_told_who_but_not_how(
    get: Callable[..., Answer], site: Site, field: bytes, name: bytes
) -> None:
    site.clear()
    assert get(b"/a", field, b"X-User: root", b"X_User: root").status == 200
    (seen,) = site.requests
    assert seen.all(b"x-user") == [name]
    assert seen.get(b"authorization") is None


def test_nobody_else_does(get: Callable[..., Answer], site: Site) -> None:
    site.clear()
    wrong = [credentials("alice", IMPORTED), credentials("carol", PASSWORD), b"Authorization: Basic \xff", b"X: y"]
    for field in wrong:
        refused = get(b"/a", field, source="127.0.0.2")
        assert (refused.status, refused.get(b"cache-control")) == (401, b"no-store")
        assert refused.get(b"www-authenticate") == b'Basic realm="edge", charset="UTF-8"'
    assert site.requests == []


def test_a_cached_answer_is_for_users_alone(get: Callable[..., Answer], site: Site) -> None:
    site.clear()
    assert get(b"/kept", ALICE).status == 200
    hit = get(b"/kept", BOB)
    assert (hit.status, hit.body) == (200, b"kept")
    assert b"hit" in (hit.get(b"cache-status") or b"")
    assert get(b"/kept").status == 401
    assert get(b"/kept", credentials("bob", "no"), source="127.0.0.3").status == 401
    for _ in range(2):
        assert get(b"/own", ALICE).body == b"own"
    assert [seen.target for seen in site.requests] == [b"/kept", b"/own", b"/own"]


def test_a_password_is_paid_for_once(get: Callable[..., Answer]) -> None:
    assert get(b"/kept", ALICE).status == 200
    started = time.perf_counter()
    for _ in range(40):
        assert get(b"/kept", ALICE).status == 200
    assert time.perf_counter() - started < 40 * 0.1, "a verification takes a quarter of a second"


def test_while_wrong_passwords_are_verified_others_are_served_and_the_rest_is_told_to_come_back(
    get: Callable[..., Answer],
) -> None:
    def guess(number: int) -> Answer:
        return get(b"/kept", credentials("alice", f"guess{number}"), source=f"127.0.1.{number}")

    assert get(b"/kept", ALICE).status == 200
    with ThreadPoolExecutor(16) as pool:
        guesses = [pool.submit(guess, number) for number in range(1, 17)]
        served = 0
        while not all(one.done() for one in guesses):
            assert get(b"/kept", ALICE).status == 200
            served += 1
    statuses = [one.result().status for one in guesses]
    assert set(statuses) == {401, 503}
    assert statuses.count(401) <= (1 + 8) * 2
    assert served > 3 * len(guesses), "each would wait for a verification, did they hold up the loop"


def guessed(get: Callable[..., Answer], source: str) -> list[int]:
    """The statuses of one guess after the other."""
    return [get(b"/a", credentials("bob", f"guess{n}"), source=source).status for n in range(22)]


def test_guessing_ends_in_429(get: Callable[..., Answer]) -> None:
    statuses = guessed(get, "127.0.0.9")
    assert statuses[:20] == [401] * 20
    assert statuses[20:] == [429] * 2


def test_no_password_is_in_any_log(edge: EdgeProcess, get: Callable[..., Answer]) -> None:
    assert get(b"/kept", ALICE).status == 200
    guessed(get, "127.0.0.10")
    wait_until(lambda: '"status":429' in edge.logs(), "the access log is written")
    for secret in (PASSWORD, IMPORTED, ALICE.split()[-1].decode(), BOB.split()[-1].decode(), "$scrypt$", "$2y$"):
        assert secret not in edge.logs()
    assert "Traceback" not in edge.logs()
    assert "internal error" not in edge.logs()
