from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.acme.answers import PREFIX, Answers
from edgeproxy.acme.files import Files
from edgeproxy.config.schema import MatchConfig
from edgeproxy.errors import EdgeError
from edgeproxy.http.message import Request
from edgeproxy.pipeline.chain import compile_chain
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.routing.match import Router
from tests.support.stages import route

TOKEN = b"DGyRejmCefe7v4NfDGDKfA"


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    files = Files(tmp_path / "acme")
    files.prepare()
    files.write(f"challenges/http/{TOKEN.decode()}", TOKEN + b".thumbprint")
    files.write("orders.json", b"[]")
    return Answers(tmp_path / "acme", compile_chain(()))


def request(path: bytes, method: bytes = b"GET") -> Request:
    return Request(method, path, {}, host=b"www.example.com", path=path)


async def test_what_an_authority_asks_for_is_answered_before_every_route(answers: Answers) -> None:
    matches = MatchConfig(host=["www.example.com"], path_exact=[(PREFIX + TOKEN).decode()])
    router = Router([(matches, route(name="theirs"))], answers.route)
    asked = request(PREFIX + TOKEN)
    found = router.match(asked)
    assert found is not None
    assert found.name == "acme"
    answer = await found.origin.fetch(Exchange(asked, Peer("192.0.2.1", 1, "", "", None), 0.0))
    assert (answer.status, answer.body) == (200, TOKEN + b".thumbprint")
    assert answer.get(b"cache-control") == b"no-store"


@pytest.mark.parametrize(
    "path",
    [
        *(PREFIX, PREFIX + b"x" * 22, PREFIX + TOKEN + b"/", PREFIX + b"../" + TOKEN, PREFIX + b"..%2forders.json"),
        *(PREFIX + b"../../orders.json", b"/.well-known/acme-challenge", b"/.well-known/other", b"/", b"/."),
        *(PREFIX + b"x" * 10_000, PREFIX + TOKEN + b"\x00"),
    ],
)
def test_what_names_nothing_goes_on_as_any_other(answers: Answers, path: bytes) -> None:
    router = Router([(MatchConfig(), route(name="theirs"))], answers.route)
    found = router.match(request(path))
    assert found is not None
    assert found.name == "theirs"


def test_other_methods_go_on(answers: Answers) -> None:
    assert answers.route(request(PREFIX + TOKEN, b"POST")) is None
    assert answers.route(request(PREFIX + TOKEN, b"HEAD")) is not None


async def test_a_challenge_that_is_over_meanwhile_is_no_page(answers: Answers, tmp_path: Path) -> None:
    asked = request(PREFIX + TOKEN)
    found = answers.route(asked)
    assert found is not None
    (tmp_path / "acme" / "challenges" / "http" / TOKEN.decode()).unlink()
    with pytest.raises(EdgeError):
        await found.origin.fetch(Exchange(asked, Peer("192.0.2.1", 1, "", "", None), 0.0))


@given(st.binary(max_size=300))
def test_no_path_is_an_error(tail: bytes) -> None:
    assert Answers(Path("/nonexistent"), compile_chain(())).route(request(PREFIX + tail)) is None
