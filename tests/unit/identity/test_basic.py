"""Basic credentials: remembered, or verified on threads, and never more than the bound at once."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Response
from edgeproxy.identity import basic
from edgeproxy.identity.basic import WAITING, BasicCheck, parse
from edgeproxy.identity.passwords import Hash, parse_hash
from edgeproxy.identity.refusals import Failures, Refusals
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.exchange import Exchange
from tests.support.stages import exchange
from tests.support.waiting import eventually

CHALLENGE = b'Basic realm="edge", charset="UTF-8"'


def hashed(password: bytes) -> Hash:
    return parse_hash(bcrypt.hashpw(password, bcrypt.gensalt(4)).decode())


USERS = {b"alice": hashed(b"wonderland"), b"bob": hashed(b"builder")}


class Door:
    """A check, its clock, and the exchanges that come to it."""

    def __init__(self, *, places: int = 2, failures: int = 100, user_failures: int = 100, **settings: Any) -> None:
        self.clock = ManualClock()
        self.check = BasicCheck(
            places,
            settings.pop("remember", 60.0),
            settings.pop("field", b""),
            Refusals(lambda: None, CHALLENGE),
            Failures(Limiter(60.0, failures, 100)),
            Limiter(60.0, user_failures, 100),
            self.clock.monotonic,
            hide=settings.pop("hide", True),
            optional=settings.pop("optional", False),
        )
        assert not settings
        self.check.use(USERS)

    def exchange(self, name: str = "alice", password: str = "wonderland", **given: Any) -> Exchange:
        credentials = b"Basic " + b64encode(f"{name}:{password}".encode())
        return exchange(headers={b"authorization": credentials}, started=self.clock.monotonic(), **given)

    async def status(self, x: Exchange) -> int:
        verdict = self.check.check(x)
        answer = verdict if verdict is None or isinstance(verdict, Response) else await verdict
        return 200 if answer is None else answer.status

    def at_once(self, x: Exchange) -> int | None:
        """The status if it is known without waiting, else None."""
        verdict = self.check.check(x)
        if verdict is None:
            return 200
        return verdict.status if isinstance(verdict, Response) else None


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Verifications end when this is set."""
    event, verify = threading.Event(), basic.verify

    def wait(stored: Hash, password: bytes) -> bool:
        event.wait(5)
        return verify(stored, password)

    monkeypatch.setattr(basic, "verify", wait)
    yield event
    event.set()


async def test_the_right_password_passes_as_its_user_and_is_gone_behind() -> None:
    door = Door(field=b"x-user")
    x = door.exchange()
    x.request.headers |= {b"x-user": b"root", b"x_user": b"root"}
    assert await door.status(x) == 200
    assert (x.identity, x.request.headers) == ("alice", {b"x-user": b"alice"})


async def test_wrong_ones_are_refused_with_a_challenge() -> None:
    door = Door()
    for x in (door.exchange("alice", "no"), door.exchange("bob"), door.exchange("carol"), door.exchange("Alice")):
        verdict = door.check.check(x)
        assert verdict is not None
        answer = verdict if isinstance(verdict, Response) else await verdict
        assert answer is not None
        assert (answer.status, answer.get(b"www-authenticate"), x.identity) == (401, CHALLENGE, "")


async def test_anothers_password_is_no_password_of_a_user_who_is_none() -> None:
    door = Door()
    for name in ("carol", "dave", "erin", "frank"):  # among whom both stand-ins are
        for password in ("wonderland", "builder"):
            assert await door.status(door.exchange(name, password)) == 401


async def test_an_unknown_name_costs_a_verification_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[Hash] = []
    monkeypatch.setattr(basic, "verify", lambda stored, password: bool(verified.append(stored)))
    door = Door()
    for _ in range(3):
        await door.status(door.exchange("carol", "x"))
        await door.status(door.exchange("alice", "x"))
    assert len(verified) == 6
    assert len(set(verified[::2])) == 1, "always the same stand-in for a name"


async def test_what_passed_is_known_at_once_until_its_time_is_up() -> None:
    door = Door(remember=60.0)
    assert door.at_once(door.exchange()) is None
    await eventually(lambda: "0 under way" in repr(door.check))
    x = door.exchange()
    assert door.at_once(x) == 200
    assert (x.identity, x.request.headers) == ("alice", {})
    assert door.at_once(door.exchange(password="wonderlanD")) is None
    door.clock.advance(60)
    assert door.at_once(door.exchange()) is None
    await eventually(lambda: "0 under way" in repr(door.check))


async def test_what_failed_is_not_remembered() -> None:
    door = Door()
    assert await door.status(door.exchange("bob", "wonderland")) == 401
    assert door.at_once(door.exchange("bob", "wonderland")) is None
    await eventually(lambda: "0 under way" in repr(door.check))


async def test_a_user_taken_out_is_out_at_once_although_remembered() -> None:
    door = Door()
    assert await door.status(door.exchange()) == 200
    door.check.use({b"bob": USERS[b"bob"]})
    assert await door.status(door.exchange()) == 401


async def test_a_password_changed_while_the_old_one_is_verified_leaves_nothing_remembered(
    gate: threading.Event,
) -> None:
    door = Door()
    late = asyncio.create_task(door.status(door.exchange()))
    await eventually(lambda: "1 under way" in repr(door.check))
    door.check.use({b"alice": hashed(b"new")})
    gate.set()
    assert await late == 200
    assert await door.status(door.exchange()) == 401


async def test_no_users_let_nobody_in() -> None:
    door = Door()
    door.check.use({})
    assert await door.status(door.exchange()) == 401


async def test_the_same_credentials_at_the_same_time_are_verified_once(gate: threading.Event) -> None:
    door = Door(places=1)
    tasks = [asyncio.create_task(door.status(door.exchange())) for _ in range(50)]
    await eventually(lambda: "1 under way" in repr(door.check))
    gate.set()
    assert await asyncio.gather(*tasks) == [200] * 50


async def test_what_is_under_way_has_a_bound_and_the_rest_is_told_to_come_back(gate: threading.Event) -> None:
    door = Door(places=2)
    most = 2 * (1 + WAITING)
    waiting = [door.check.check(door.exchange(password=str(number))) for number in range(most)]
    answer = door.check.check(door.exchange())
    assert isinstance(answer, Response)
    assert (answer.status, answer.get(b"retry-after")) == (503, b"1")
    gate.set()
    await eventually(lambda: "0 under way" in repr(door.check))
    assert len(waiting) == most
    assert await door.status(door.exchange()) == 200


async def test_who_leaves_does_not_take_the_verdict_from_the_others(gate: threading.Event) -> None:
    door = Door()
    leaver, stayer = (asyncio.create_task(door.status(door.exchange())) for _ in range(2))
    await eventually(lambda: "1 under way" in repr(door.check))
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    gate.set()
    assert await stayer == 200


async def test_who_leaves_early_is_counted_all_the_same() -> None:
    door = Door(failures=1)
    door.check.check(door.exchange(password="no"))
    await eventually(lambda: "0 under way" in repr(door.check))
    assert door.at_once(door.exchange(password="other")) == 429


async def test_too_many_failures_of_a_network_end_in_429_but_not_for_who_is_known() -> None:
    door = Door(failures=2)
    assert await door.status(door.exchange()) == 200
    assert [await door.status(door.exchange("bob", str(number))) for number in range(3)] == [401, 401, 429]
    assert await door.status(door.exchange("bob", "builder")) == 429
    assert await door.status(door.exchange()) == 200
    assert await door.status(door.exchange("bob", "builder", client="192.0.2.8")) == 200


async def test_too_many_failures_of_a_name_end_in_429_from_everywhere() -> None:
    door = Door(user_failures=2)
    attempts = [door.exchange(password="no", client=f"192.0.2.{number}") for number in range(3)]
    assert [await door.status(x) for x in attempts] == [401, 401, 429]
    assert await door.status(door.exchange("bob", "builder")) == 200


async def test_optional_lets_nobody_pass_as_nobody() -> None:
    door = Door(optional=True, field=b"x-user")
    x = exchange(headers={b"authorization": b"Bearer t", b"x-user": b"root"})
    assert await door.status(x) == 200
    assert (x.identity, x.request.headers) == ("", {b"authorization": b"Bearer t"})
    assert await door.status(door.exchange(password="no")) == 401
    assert await Door().status(exchange(headers={b"authorization": b"Bearer t"})) == 401


async def test_without_hiding_the_field_stays() -> None:
    x = (door := Door(hide=False)).exchange()
    assert await door.status(x) == 200
    assert x.request.headers.keys() == {b"authorization"}


async def test_after_the_end_nothing_new_begins_and_what_is_under_way_ends(gate: threading.Event) -> None:
    door = Door()
    late = asyncio.create_task(door.status(door.exchange()))
    await eventually(lambda: "1 under way" in repr(door.check))
    door.check.stop()
    assert door.at_once(door.exchange("bob", "builder")) == 503
    gate.set()
    assert await late == 200


@pytest.mark.parametrize(
    ("credentials", "parsed"),
    [
        (b"a:b", (b"a", b"b")),
        (b"a:b:c", (b"a", b"b:c")),
        (b"a:", (b"a", b"")),
        ("zoë:ü".encode(), ("zoë".encode(), "ü".encode())),
        (b":b", None),
        (b"a", None),
        (b"", None),
        (b"a:b\x00", None),
        (b"a\x7f:b", None),
        (b"a" * 129 + b":b", None),
        (b"a:" + b"b" * 513, None),
    ],
)
def test_credentials(credentials: bytes, parsed: tuple[bytes, bytes] | None) -> None:
    assert parse(b"Basic " + b64encode(credentials)) == parsed


@pytest.mark.parametrize("value", [b"Basic ", b"Basic a", b"Basic YTpi YTpi", b"Basic !!!!", b"Basic \xff"])
def test_what_is_no_base64_is_no_credential(value: bytes) -> None:
    assert parse(value) is None


@given(st.binary(max_size=1200))
def test_any_bytes_are_credentials_or_none(value: bytes) -> None:
    for whole in (b"Basic " + value, b"Basic " + b64encode(value)):
        found = parse(whole)
        assert found is None or found[0]
