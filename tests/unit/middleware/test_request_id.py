"""Request ids."""

from __future__ import annotations

import itertools
import re

import pytest

from edgeproxy.http.message import Response
from middleware.request_id import RequestId
from tests.support.stages import exchange, stage


def test_an_id_is_32_hex_digits_for_the_log_the_origin_and_the_answer() -> None:
    request_id, x, response = stage(RequestId), exchange(), Response(200)
    request_id.request(x)
    request_id.response(x, response)
    assert re.fullmatch(rb"[0-9a-f]{32}", x.id)
    assert x.request.headers[b"x-request-id"] == response.get(b"x-request-id") == x.id


def test_ids_differ_beyond_a_block_of_them_and_between_workers() -> None:
    seen = set()
    for worker in (stage(RequestId), stage(RequestId)):
        x = exchange()
        for _ in range(10_000):
            worker.request(x)
            seen.add(x.id)
    assert len(seen) == 20_000


def test_ids_of_one_worker_count() -> None:
    request_id, ids = stage(RequestId), []
    for _ in range(5_000):
        x = exchange()
        request_id.request(x)
        ids.append(int(x.id, 16))
    assert {after - before for before, after in itertools.pairwise(ids)} == {1}


def test_a_clients_id_is_replaced() -> None:
    x = exchange(headers={b"x-request-id": b"mine"})
    stage(RequestId).request(x)
    assert x.id != b"mine"
    assert x.request.headers[b"x-request-id"] == x.id


@pytest.mark.parametrize("sent", [b"mine", b"A-z_0.9", b"x" * 128])
def test_a_trusted_id_is_kept(sent: bytes) -> None:
    x = exchange(headers={b"x-request-id": sent})
    stage(RequestId, {"trust": True}).request(x)
    assert x.id == x.request.headers[b"x-request-id"] == sent


@pytest.mark.parametrize("sent", [b"", b"a b", b"a, b", b'a"', b"x" * 129, "é".encode(), b"a\n"])
def test_an_id_that_is_none_is_replaced_even_if_trusted(sent: bytes) -> None:
    x = exchange(headers={b"x-request-id": sent})
    stage(RequestId, {"trust": True}).request(x)
    assert x.id == x.request.headers[b"x-request-id"] != sent


def test_the_answer_can_go_without() -> None:
    assert stage(RequestId, {}).uses("response")
    assert not stage(RequestId, {"reply": False}).uses("response")
