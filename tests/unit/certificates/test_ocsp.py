"""What an OCSP responder is asked, and which of its answers are shown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeproxy.certificates.leaf import Leaf, read
from edgeproxy.certificates.ocsp import LONGEST, answer, question
from tests.support.certificates import Authority, Pair
from tests.support.ocsp import Responder, refusal

HOUR = 3600.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ocsp")


@pytest.fixture(scope="module")
def responder(folder: Path) -> Responder:
    return Responder(Authority(folder))


@pytest.fixture(scope="module")
def pair(responder: Responder) -> Pair:
    return responder.issue("a.example")


@pytest.fixture(scope="module")
def leaf(pair: Pair) -> Leaf:
    return read(str(pair.certificate))


def test_the_question_names_the_certificate(leaf: Leaf) -> None:
    asked = ocsp.load_der_ocsp_request(question(leaf))
    assert asked.serial_number == x509.load_der_x509_certificate(leaf.chain[0]).serial_number


def test_without_the_authority_nothing_can_be_asked(leaf: Leaf) -> None:
    alone = Leaf(leaf.names, "", "", (0, 0), leaf.responder, False, leaf.chain[:1])
    with pytest.raises(ValueError, match="no certificate of the authority"):
        question(alone)


@pytest.mark.parametrize("charged", [None, True])
def test_a_good_answer_is_renewed_at_half_its_life(
    responder: Responder, pair: Pair, leaf: Leaf, charged: bool | None
) -> None:
    now = time.time()
    response = responder.answer(pair, hours=(-1, 47), charged=charged)
    found = answer(leaf, response, now)
    assert found.response == response
    assert found.due == pytest.approx(now + 23 * HOUR, abs=5)
    assert found.until == pytest.approx(now + 47 * HOUR, abs=5)


def test_an_answer_without_end_or_with_a_far_one_has_one_here(responder: Responder, pair: Pair, leaf: Leaf) -> None:
    now = time.time()
    assert answer(leaf, responder.answer(pair, hours=(0, None)), now).until == pytest.approx(now + 24 * HOUR, abs=5)
    assert answer(leaf, responder.answer(pair, hours=(0, 10_000)), now).until == pytest.approx(now + LONGEST, abs=5)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"status": ocsp.OCSPCertStatus.REVOKED}, "REVOKED"),
        ({"status": ocsp.OCSPCertStatus.UNKNOWN}, "does not know"),
        ({"hours": (-48, -1)}, "not of this time"),
        ({"hours": (1, 48)}, "not of this time"),
        ({"charged": False}, "not signed"),
    ],
)
def test_other_answers_are_not_shown(
    responder: Responder, pair: Pair, leaf: Leaf, more: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        answer(leaf, responder.answer(pair, **more), time.time())


def test_nor_those_of_strangers_or_about_others(responder: Responder, pair: Pair, leaf: Leaf, folder: Path) -> None:
    with pytest.raises(ValueError, match="not signed"):
        answer(leaf, responder.answer(pair, signer=Authority(folder, "stranger")), time.time())
    with pytest.raises(ValueError, match="another certificate"):
        answer(leaf, responder.answer(responder.issue("b.example")), time.time())
    with pytest.raises(ValueError, match="try later"):
        answer(leaf, refusal(), time.time())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 400), byte=st.integers(0, 255), rest=st.binary(max_size=50))
def test_whatever_comes_is_good_or_a_reason_why_not(leaf: Leaf, whole: bytes, at: int, byte: int, rest: bytes) -> None:
    at %= len(whole)
    for response in (rest, whole[:at], whole[:at] + bytes((byte,)) + whole[at + 1 :]):
        try:
            answer(leaf, response, time.time())
        except ValueError:
            continue


@pytest.fixture(scope="module")
def whole(responder: Responder, pair: Pair) -> bytes:
    return responder.answer(pair)
