"""The basic_auth stage: its settings, and what it observes."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from pydantic import ValidationError

from edgeproxy.http.message import Response
from edgeproxy.pipeline.chain import compile_chain
from middleware.basic_auth import BasicAuth
from tests.support.stages import exchange, services, stage


def hashed(password: bytes) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()


ALICE = b"Basic " + b64encode(b"alice:wonderland")
BOB = b"Basic " + b64encode(b"bob:builder")


async def ask(guard: BasicAuth, value: bytes) -> Response | None:
    verdict = guard.request(exchange(headers={b"authorization": value}))
    return verdict if verdict is None or isinstance(verdict, Response) else await verdict


async def test_users_come_from_the_settings_and_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"# people\nbob:{hashed(b'builder')}\n")
    guard = stage(BasicAuth, {"passwords": {"alice": hashed(b"wonderland")}, "users_file": str(tmp_path / "users")})
    assert await ask(guard, ALICE) is None
    assert await ask(guard, BOB) is None
    assert await ask(guard, ALICE[:-4]) is not None
    await guard.stop()


async def test_the_challenge_bears_the_realm_and_refusals_are_counted() -> None:
    lent = services()
    guard = stage(BasicAuth, {"passwords": {"alice": hashed(b"wonderland")}, "realm": "shop"}, lent)
    answer = await ask(guard, b"")
    assert answer is not None
    assert answer.get(b"www-authenticate") == b'Basic realm="shop", charset="UTF-8"'
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("basic_auth") == 1


async def test_it_stands_among_the_stages_that_need_no_task() -> None:
    guard = stage(BasicAuth, {"passwords": {"alice": hashed(b"wonderland")}})
    assert len(compile_chain([guard]).inline) == 1


async def test_observing_takes_nothing_out_of_the_request() -> None:
    guard = stage(BasicAuth, {"passwords": {"alice": hashed(b"wonderland")}, "mode": "observe"})
    x = exchange(headers={b"authorization": ALICE})
    verdict = guard.request(x)
    assert verdict is not None
    assert not isinstance(verdict, Response)
    assert await asyncio.wait_for(_awaited(verdict), 5) is None
    assert (x.identity, x.request.headers) == ("alice", {b"authorization": ALICE})


async def _awaited(verdict: Any) -> Response | None:
    answer: Response | None = await verdict
    return answer


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "give passwords, users_file or both"),
        ({"passwords": {"alice": "wonderland"}}, "neither scrypt"),
        ({"passwords": {"a:b": hashed(b"x")}}, "no colon"),
        ({"passwords": {"alice": hashed(b"x")}, "concurrency": 0}, "greater than or equal to 1"),
        ({"passwords": {"alice": hashed(b"x")}, "remember": "2d"}, "less than or equal to 86400"),
        ({"passwords": {"alice": hashed(b"x")}, "pass": "cookie"}, "is where credentials come from"),
    ],
)
def test_bad_settings_are_refused_without_being_repeated(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as raised:
        stage(BasicAuth, settings)
    assert "wonderland" not in str([error["msg"] for error in raised.value.errors()])


def test_hashes_are_not_shown() -> None:
    guard = stage(BasicAuth, {"passwords": {"alice": hashed(b"wonderland")}})
    assert "$2b$" not in repr(guard.config) + repr(guard.request)
