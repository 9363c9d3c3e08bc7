"""Who a request says has signed it, and for how long that holds."""

from __future__ import annotations

import pytest

from edgeproxy.identity.signature_agent import check_terms, origin, signature_agent
from edgeproxy.identity.signatures import SignatureError, Signed, signatures

NOW = 1_800_000_000


def made(covered: str, told: str = "") -> Signed:
    (signed,) = signatures(
        {b"signature-input": f'a=({covered});tag="t"{told}'.encode(), b"signature": b"a=:AA==:"}, "t"
    )
    return signed


@pytest.mark.parametrize(
    ("covered", "value", "named"),
    [
        ('"signature-agent"', b'"https://a.example"', "https://a.example"),
        ('"signature-agent"', b'"https://A.example:8443/x?y"', "https://a.example:8443"),
        ('"signature-agent";key="a"', b'a="https://a.example", b="https://b.example"', "https://a.example"),
        ('"signature-agent";key="b"', b'a="https://a.example", b="https://b.example"', "https://b.example"),
        ('"signature-agent";key="a"', b'a="https://a.example/k";type=jwks_uri', "https://a.example"),
        ('"signature-agent";key="a" "signature-agent";key="b"', b'a="https://a.example", b="https://b.example"', None),
        ('"@authority"', b'"https://a.example"', None),
        ('"@authority"', b'a="https://a.example"', None),
        ('"signature-agent";key="c"', b'a="https://a.example"', None),
        ('"signature-agent"', b"https://a.example", None),
        ('"signature-agent"', b'"https://a.example", "https://b.example"', None),
        ('"signature-agent"', b'"a.example"', None),
        ('"signature-agent"', b'"https://[::1"', None),
        ('"signature-agent"', b"", None),
        ('"signature-agent";key="a"', b"a=1", None),
        ('"signature-agent";key="a"', b'a=("https://a.example")', None),
    ],
)
def test_only_what_the_signature_covers_names_an_agent(covered: str, value: bytes, named: str | None) -> None:
    assert signature_agent({b"signature-agent": value}, made(covered)) == named


def test_an_origin_is_a_scheme_and_a_host() -> None:
    assert [origin("https://A.example/b"), origin("a.example"), origin(""), origin("https://[")] == [
        "https://a.example",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("covered", "created", "expires"),
    [
        ('"@authority"', NOW, NOW + 60),
        ('"@target-uri" "@method"', NOW - 3000, NOW + 60),
        ('"@authority"', NOW + 30, NOW + 31),
        ('"@authority"', NOW - 60, NOW - 29),
        ('"@authority"', NOW - 3629, NOW + 10**9),
    ],
)
def test_a_signature_holds_in_its_time(covered: str, created: int, expires: int) -> None:
    check_terms(made(covered, f";created={created};expires={expires}"), NOW, max_age=3600, leeway=30)


@pytest.mark.parametrize(
    ("covered", "told", "said"),
    [
        ("", f";created={NOW};expires={NOW + 60}", "the host"),
        ('"@path" "@method"', f";created={NOW};expires={NOW + 60}", "the host"),
        ('"@authority";req', f";created={NOW};expires={NOW + 60}", "the host"),
        ('"@authority"', f";created={NOW}", "since when"),
        ('"@authority"', f";expires={NOW + 60}", "since when"),
        ('"@authority"', f";created={NOW + 31};expires={NOW + 60}", "not hold yet"),
        ('"@authority"', f";created={NOW - 60};expires={NOW - 30}", "expired"),
        ('"@authority"', f";created={NOW};expires={NOW - 30}", "expired"),
        ('"@authority"', f";created={NOW - 3630};expires={NOW + 60}", "expired"),
        ('"@authority"', ";created=-999999999999999;expires=999999999999999", "expired"),
    ],
)
def test_a_signature_that_is_good_anywhere_or_at_another_time_is_refused(covered: str, told: str, said: str) -> None:
    with pytest.raises(SignatureError, match=said):
        check_terms(made(covered, told), NOW, max_age=3600, leeway=30)
