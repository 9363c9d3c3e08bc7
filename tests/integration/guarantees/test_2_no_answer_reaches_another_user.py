"""Guarantee 2: no answer made for one user reaches another.

Many users at once on the same URLs, over connections they share and leave in the middle of an answer, known by
Authorization, by cookies, by a token in a cookie; with answers that are private, set cookies, vary, or are everybody's.
Every answer bears whom it was made for.

Seen to fail: with ``may_store`` of cache/policy.py keeping answers with Set-Cookie, or answers to requests that say who
they are from; with the variant left out of the look-up (cache/front.py); with a connection to the origin kept for the
next request when its reader has left in the middle (``Connection.abort`` of origin/client.py).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.integration.guarantees.crowd import Got, Line, all_at_once
from tests.support.origin import RecordedRequest, Script, answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request
from tests.support.tokens import SECRET, claims, token

USERS = [f"user{number:02d}" for number in range(12)]
TOKENS = {user: token(claims(sub=user, exp=int(time.time()) + 3600)).decode() for user in USERS}
EVERYBODY = b"everybody"
REQUESTS = 40  # of each client


def body(user: bytes, target: bytes) -> bytes:
    """Long enough to be on its way for a while, and wrong in any part if it is somebody else's."""
    return (user + b" " + target + b"\n") * (40 if b"small" in target else 4000)


def told(asked: RecordedRequest) -> bytes:
    """Who asks, as an application would know it."""
    return asked.get(b"x-user") or (asked.get(b"authorization") or asked.get(b"cookie") or b"?").split(b"=")[-1]


# How an application may answer for one user without naming him to the cache in so many words.
FIELDS = {
    b"authorization": (b"Cache-Control: max-age=600",),
    b"private": (b"Cache-Control: private, max-age=600",),
    b"no-store": (b"Cache-Control: no-store",),
    b"silent": (),
    b"vary": (b"Cache-Control: max-age=600", b"Vary: Cookie"),
    b"vary-all": (b"Cache-Control: max-age=600", b"Vary: *"),
    b"set-cookie": (b"Cache-Control: max-age=600",),
    b"new-session": (b"Cache-Control: public, max-age=600",),
    b"token": (b"Cache-Control: max-age=600",),
    b"public": (b"Cache-Control: max-age=600",),
}


def serve(asked: RecordedRequest) -> Script:
    kind = asked.target.split(b"/")[1]
    user = EVERYBODY if kind == b"public" else told(asked)
    fields = [*FIELDS[kind], b"X-For: " + user]
    if kind in {b"set-cookie", b"new-session"}:
        fields.append(b"Set-Cookie: session=" + user)
    whole = body(user, asked.target)
    if b"chunked" not in asked.target:
        return answer(200, whole, *fields)
    head = b"\r\n".join((b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", *fields)) + b"\r\n\r\n"
    pieces = [whole[at : at + 5000] for at in range(0, len(whole), 5000)]
    return [head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]


TARGETS = [
    b"/%b/%b/%d" % (kind, form, number)
    for kind in FIELDS
    for form in (b"small", b"large", b"chunked")
    for number in range(2)
]


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    for target in TARGETS:
        site.on(target, serve)
    jwt = {"secret": SECRET, "token": "cookie:token", "pass": {"sub": "x-user"}}
    whole = config(site.url, workers=2, log={"access": False})
    whole["routes"].append({"name": "token", "match": {"path": "/token"}, "pool": "site", "middleware": {"jwt": jwt}})
    with EdgeProcess(whole) as edge:
        yield edge


def ask(user: str, target: bytes) -> bytes:
    kind = target.split(b"/")[1]
    if kind == b"token":
        return request(target, b"Cookie: a=b; token=" + TOKENS[user].encode())
    if kind == b"new-session":  # a first visit: nothing yet that the cache could tell the user by
        return request(target, b"X-User: " + user.encode())
    if kind == b"authorization":
        return request(target, b"Authorization: Bearer=" + user.encode())
    return request(target, b"Cookie: session=" + user.encode())


def check(got: Got, user: str, target: bytes, seen: Counter[str]) -> None:
    expected = EVERYBODY if target.startswith(b"/public/") else user.encode()
    assert got.status == 200, (got.status, target)
    assert got.fields[b"x-for"] == expected, (user, target)
    assert got.fields.get(b"set-cookie", expected).endswith(expected), (user, target)
    assert got.body == body(expected, target), (user, target)
    seen["hit" if b"hit" in got.fields[b"cache-status"] else "fetched"] += 1


async def client(edge: EdgeProcess, seed: int, seen: Counter[str]) -> None:
    """Asks as one user after the other on one connection, at times several at once, at times leaving midway."""
    dice = random.Random(seed)
    left = REQUESTS
    while left > 0:
        async with Line(edge.address) as line:
            while left > 0:
                wanted = [(dice.choice(USERS), dice.choice(TARGETS)) for _ in range(dice.choice((1, 1, 1, 3)))]
                left -= len(wanted)
                line.writer.write(b"".join(ask(*each) for each in wanted))
                if dice.random() < 0.15:
                    if dice.random() < 0.7:
                        await line.reader.read(dice.choice((1, 2000, 30_000)))
                    line.leave()
                    seen["left"] += 1
                    break
                for user, target in wanted:
                    check(await line.answer(), user, target, seen)


async def test_every_answer_bears_whom_it_was_made_for(edge: EdgeProcess) -> None:
    seen: Counter[str] = Counter()
    await all_at_once((client(edge, seed, seen) for seed in range(24)), within=40)
    assert seen["fetched"] > 100
    assert seen["hit"] > 20
    assert seen["left"] > 20


@pytest.mark.parametrize("kind", [kind for kind in FIELDS if kind != b"public"], ids=bytes.decode)
async def test_users_who_ask_at_the_same_time_get_each_their_own(edge: EdgeProcess, site: Site, kind: bytes) -> None:
    """All of them miss together, so whatever is collapsed or stored wrongly meets another user."""
    target = site.on(b"/%b/small/together" % kind, serve)
    users = [*USERS, *USERS]

    async def one(line: Line, user: str) -> Got:
        return await line.ask(ask(user, target))

    lines = [await Line(edge.address).__aenter__() for _ in users]
    answers = await all_at_once(one(line, user) for line, user in zip(lines, users, strict=True))
    for got, user in zip(answers, users, strict=True):
        check(got, user, target, Counter())
    for line in lines:
        await line.__aexit__()


async def test_a_reader_that_leaves_hands_its_rest_to_nobody(edge: EdgeProcess) -> None:
    """What is left of an answer on a connection to the origin must not begin the next one."""
    for number in range(20):
        async with Line(edge.address) as line:
            line.writer.write(ask(USERS[0], b"/no-store/chunked/0"))
            await line.reader.read(1000)
            line.leave()
        async with Line(edge.address) as line:
            user = USERS[1 + number % 5]
            check(await line.ask(ask(user, b"/no-store/large/1")), user, b"/no-store/large/1", Counter())
