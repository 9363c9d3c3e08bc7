"""Two workers are one cache: what a request to one of them changes, the other does not serve any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.client import ask
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, request

CONNECTIONS = 40  # each to one of two workers
KEPT = (b"Cache-Control: max-age=600", b'Cache-Groups: "things"')


def bodies(edge: EdgeProcess, target: bytes) -> set[bytes]:
    return {ask(edge.address, request(target, b"Connection: close")).final[0].body for _ in range(CONNECTIONS)}


def post(edge: EdgeProcess, target: bytes) -> None:
    (got,) = ask(edge.address, request(target, b"Connection: close", b"Content-Length: 0", method=b"POST")).final
    assert got.status == 204


def test_what_a_post_to_one_worker_changes_no_worker_serves_any_more(
    whole: Callable[..., dict[str, Any]], site: Site
) -> None:
    site.on(b"/thing", answer(200, b"before", *KEPT))
    site.on(b"/other", answer(200, b"before", *KEPT))
    with EdgeProcess(whole(workers=2)) as edge:
        assert bodies(edge, b"/thing") == bodies(edge, b"/other") == {b"before"}
        site.on(b"/thing", answer(204, b"", b'Cache-Group-Invalidation: "things"'))
        post(edge, b"/thing")
        site.on(b"/thing", answer(200, b"after", *KEPT))
        site.on(b"/other", answer(200, b"after", *KEPT))
        assert bodies(edge, b"/thing") == bodies(edge, b"/other") == {b"after"}
