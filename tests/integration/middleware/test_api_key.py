"""API keys at a running node: who passes, what the origin sees, and that nothing shows a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from edgeproxy.identity.api_keys import line_of, new_key
from tests.support.client import Answer, ask
from tests.support.origin import answer
from tests.support.processes import EdgeProcess, wait_until
from tests.support.site import Site, config, request

KEY, OTHER, LATER = (new_key() for _ in range(3))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/kept?a=1", answer(200, b"kept", b"Cache-Control: public, max-age=60"))
        site.on(b"/own", answer(200, b"own", b"Cache-Control: max-age=60"))
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    stage = {
        "keys": line_of("shop", KEY),
        "keys_file": "keys.txt",
        "places": ["header:x-api-key", "authorization:bearer", "query:api_key", "cookie:key"],
        "pass": "x-client",
        "failures": "100000/s",
    }
    edge = EdgeProcess(config(site.url, middleware={"api_key": stage}))
    (edge.folder / "keys.txt").write_text("# keys\n" + line_of("file", OTHER) + "\n")
    with edge:
        yield edge


@pytest.fixture
def get(edge: EdgeProcess) -> Callable[..., Answer]:
    return lambda target, *fields: ask(edge.address, request(target, *fields)).final[0]


def test_a_key_passes_from_wherever_it_comes_and_goes_no_further(get: Callable[..., Answer], site: Site) -> None:
    key = KEY.encode()
    for target, fields in (
        (b"/a?b=1", (b"X-Api-Key: " + key,)),
        (b"/a?b=1", (b"Authorization: Bearer " + key,)),
        (b"/a?b=1", (b"Cookie: key=" + key,)),
        (b"/a?api_key=" + key + b"&b=1", ()),
        (b"/a?b=1&%61pi_key=" + key, (b"X-Client: root", b"X_Client: root")),
    ):
        site.clear()
        assert get(target, *fields).status == 200
        (seen,) = site.requests
        assert seen.target == b"/a?b=1"
        assert seen.all(b"x-client") == [b"shop"]
        assert key not in seen.raw


def test_without_a_good_key_nobody_passes_and_the_origin_hears_nothing(get: Callable[..., Answer], site: Site) -> None:
    site.clear()
    for fields in ((), (b"X-Api-Key: " + KEY[:-1].encode(),), (b"X-Api-Key: \xff\xfe",)):
        refused = get(b"/a", *fields)
        assert (refused.status, refused.get(b"cache-control")) == (401, b"no-store")
        assert refused.get(b"www-authenticate") == b'Bearer realm="edge"'
    assert site.requests == []


def test_a_cached_answer_is_one_for_all_keys_and_for_nobody_else(get: Callable[..., Answer], site: Site) -> None:
    site.clear()
    assert get(b"/kept?api_key=" + KEY.encode() + b"&a=1").status == 200
    hit = get(b"/kept?a=1&api_key=" + OTHER.encode())
    assert (hit.status, hit.body) == (200, b"kept")
    assert b"hit" in (hit.get(b"cache-status") or b"")
    assert len(site.requests) == 1
    assert get(b"/kept?a=1").status == 401
    assert get(b"/kept?a=1&api_key=" + KEY[:-1].encode()).status == 401


def test_what_the_origin_does_not_call_public_is_kept_for_nobody(get: Callable[..., Answer], site: Site) -> None:
    site.clear()
    for _ in range(2):
        assert get(b"/own", b"X-Api-Key: " + KEY.encode()).body == b"own"
    assert len(site.requests) == 2


def test_a_changed_file_counts_and_a_broken_one_does_not(edge: EdgeProcess, get: Callable[..., Answer]) -> None:
    def status(key: str) -> int:
        return get(b"/a", b"X-Api-Key: " + key.encode()).status

    file = edge.folder / "keys.txt"
    assert (status(OTHER), status(LATER)) == (200, 401)
    file.write_text(line_of("later", LATER))
    wait_until(lambda: status(LATER) == 200, "the new key is known")
    assert (status(OTHER), status(KEY)) == (401, 200)
    file.write_text("broken " + LATER)
    wait_until(lambda: "going on with what it held before" in edge.logs(), "the broken file is told of")
    assert (status(LATER), edge.logs().count("going on with what it held before")) == (200, 1)


def test_no_key_is_in_any_log(edge: EdgeProcess, get: Callable[..., Answer]) -> None:
    for key in (KEY, OTHER, LATER, KEY[:-1]):
        get(b"/logged?a=1&api_key=" + key.encode())
        get(b"/logged?a=1", b"X-Api-Key: " + key.encode())
    wait_until(lambda: edge.logs().count('"target":"/logged?a=1"') >= 8, "the access log is written")
    for secret in (KEY, OTHER, LATER, KEY[4:-1]):
        assert secret not in edge.logs()
    assert "Traceback" not in edge.logs()
    assert "internal error" not in edge.logs()
