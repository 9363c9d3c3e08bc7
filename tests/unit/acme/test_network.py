from __future__ import annotations

import time

import pytest
import requests
from acme import errors, messages
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from josepy.jwk import JWKEC

from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.network import LONGEST_RETRY_AFTER, Network, explained, retry_after, within
from edgeproxy.clock import Clock


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(JWKEC(key=ec.generate_private_key(ec.SECP256R1())), None, Clock())


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after("120", 0.0) == 120
    assert retry_after("Thu, 01 Jan 1970 00:02:00 GMT", 20.0) == 100
    assert retry_after("Thu, 01 Jan 1970 00:00:01 GMT", 20.0) == 0
    assert retry_after("9" * 400, 0.0) == LONGEST_RETRY_AFTER


@given(st.text())
def test_what_is_neither_is_no_wish(text: str) -> None:
    assert 0 <= retry_after(text, 0.0) <= LONGEST_RETRY_AFTER


def test_what_takes_too_long_is_ended_whatever_it_waits_for() -> None:
    with pytest.raises(AcmeError, match=r"no answer within 0\.05s"), within(0.05, "no answer"):
        time.sleep(60)
    with within(60, "no answer"):
        pass


def test_an_authority_s_refusal_is_told_in_a_line(network: Network) -> None:
    said = messages.Error(typ="urn:ietf:params:acme:error:rejectedIdentifier", detail="not\nhere")
    with pytest.raises(AcmeError, match=r"rejectedIdentifier: not here") as caught, explained(network):
        raise said
    assert (caught.value.whole, caught.value.code) == (False, "rejectedIdentifier")
    with pytest.raises(AcmeError) as caught, explained(network):
        raise messages.Error(typ="urn:ietf:params:acme:error:serverInternal")
    assert caught.value.whole


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (requests.ConnectionError(OSError(111, "refused")), "cannot be asked"),
        (errors.ClientError("x"), "answered what it may not"),
        (errors.ConflictError("x"), "conflicts"),
        (KeyError("newOrder"), "no known form"),
    ],
)
def test_whatever_the_library_raises_is_one_kind_of_error(network: Network, error: Exception, said: str) -> None:
    with pytest.raises(AcmeError, match=said), explained(network):
        raise error
