"""What certificates say, and the rules over it."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.identity.certificates import Certificate, Pattern, Rule, judge, read
from tests.support.certificates import Authority

Issue = Callable[..., bytes]


@pytest.fixture(scope="module")
def issue(tmp_path_factory: pytest.TempPathFactory) -> Issue:
    authority = Authority(tmp_path_factory.mktemp("certificates"), "Test authority")

    def issue(*names: str, subject: str | None = None) -> bytes:
        pair = authority.issue(*names, subject=subject, file="one")
        return ssl.PEM_cert_to_DER_cert(Path(pair.certificate).read_text())

    return issue


SUBJECT = "CN=Device 7,OU=edge,OU=web,O=Example,C=DE"
NAMES = (
    "Api.Example.com",
    "*.wild.example",
    "spiffe://example.org/ns/web",
    "Ops@Example.com",
    "192.0.2.7",
    "2001:db8::7",
)


def rule(**given_: Any) -> Rule:
    """A rule of patterns as texts."""
    made: dict[str, Any] = {"subject": {}, "issuer": {}, "dns": (), "uri": (), "email": ()}
    made |= {"ip": (), "fingerprint": frozenset()}
    for name, value in given_.items():
        if name in ("subject", "issuer"):
            made[name] = {key: tuple(map(Pattern, patterns)) for key, patterns in value.items()}
        elif name == "ip":
            made[name] = tuple(map(ip_network, value))
        else:
            made[name] = frozenset(value) if name == "fingerprint" else tuple(map(Pattern, value))
    return Rule(**made)


def test_a_certificate_is_read(issue: Issue) -> None:
    der = issue(*NAMES, subject=SUBJECT)
    assert read(der) == Certificate(
        {"CN": ("Device 7",), "OU": ("web", "edge"), "O": ("Example",), "C": ("DE",)},
        {"CN": ("Test authority",)},
        ("api.example.com", "*.wild.example"),
        ("spiffe://example.org/ns/web",),
        ("ops@example.com",),
        ("192.0.2.7", "2001:db8::7"),
        sha256(der).hexdigest(),
        SUBJECT,
    )


@pytest.mark.parametrize("der", [b"", b"x", b"\x30\x80", b"\x30\x03\x02\x01\x01", b"\xff" * 2000])
def test_what_is_no_certificate_fits_nothing(der: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read(der)
    shown = judge(der, (), "subject")
    assert (shown.fits, shown.identity) == (False, "")


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(der: bytes) -> None:
    assert not judge(der, (), "subject").fits


FITS: list[dict[str, Any]] = [
    {"subject": {"CN": ["Device 7"]}},
    {"subject": {"OU": ["edge"]}},
    {"subject": {"OU": ["web"], "O": ["Other", "Example"]}},
    {"issuer": {"CN": ["Test authority"]}},
    {"dns": ["api.example.com"]},
    {"dns": ["*.example.com"]},
    {"uri": ["spiffe://example.org/ns/web"]},
    {"uri": ["spiffe://example.org/*"]},
    {"email": ["ops@example.com"]},
    {"email": ["*@example.com"]},
    {"ip": ["192.0.2.0/24"]},
    {"ip": ["10.0.0.0/8", "2001:db8::/32"]},
    {"dns": ["other", "api.example.com"], "uri": ["spiffe://example.org/ns/*"], "subject": {"C": ["DE"]}},
]
DOES_NOT: list[dict[str, Any]] = [
    {"subject": {"CN": ["device 7"]}},
    {"subject": {"CN": ["Device"]}},
    {"subject": {"O": ["Exampl"]}},
    {"subject": {"CN": ["Device 7"], "L": ["Berlin"]}},
    {"subject": {"CN": ["Device 7"]}, "issuer": {"CN": ["Device 7"]}},
    {"issuer": {"O": ["Example"]}},
    {"dns": ["example.com"]},
    {"dns": ["*.com"]},
    {"dns": ["xapi.example.com"]},
    {"dns": ["api-example.com"]},
    {"uri": ["spiffe://example.org/ns"]},
    {"uri": ["spiffe://example.org/ns/web/*"]},
    {"uri": ["spiffe://example.org.evil/*"]},
    {"email": ["*@ample.com"]},
    {"email": ["s@example.com"]},
    {"ip": ["192.0.3.0/24"]},
    {"fingerprint": ["0" * 64]},
    {"dns": ["api.example.com"], "fingerprint": ["0" * 64]},
    {"dns": ["192.0.2.7"]},
]


@pytest.mark.parametrize("asked", FITS, ids=str)
def test_a_rule_is_met_when_all_it_asks_is(issue: Issue, asked: dict[str, Any]) -> None:
    assert rule(**asked).meets(read(issue(*NAMES, subject=SUBJECT)))


@pytest.mark.parametrize("asked", DOES_NOT, ids=str)
def test_a_rule_is_not_met_by_anything_less(issue: Issue, asked: dict[str, Any]) -> None:
    assert not rule(**asked).meets(read(issue(*NAMES, subject=SUBJECT)))


@pytest.mark.parametrize("asked", FITS, ids=str)
def test_no_rule_is_met_by_a_certificate_that_says_nothing(issue: Issue, asked: dict[str, Any]) -> None:
    if "issuer" not in asked:
        assert not rule(**asked).meets(read(issue(subject="")))


def test_a_name_with_a_null_in_it_is_not_the_name_before_it(issue: Issue) -> None:
    certificate = read(issue(subject="CN=admin\\00.evil.example"))
    assert certificate.subject["CN"] == ("admin\0.evil.example",)
    assert not rule(subject={"CN": ["admin"]}).meets(certificate)


def test_a_fingerprint_is_the_certificates_alone(issue: Issue) -> None:
    der = issue("a.example")
    only = rule(fingerprint=[sha256(der).hexdigest()])
    assert only.meets(read(der))
    assert not only.meets(read(issue("a.example")))


def test_one_rule_that_is_met_is_enough_and_no_rules_ask_for_nothing(issue: Issue) -> None:
    der = issue("a.example")
    both = (rule(dns=["b.example"]), rule(dns=["a.example"]))
    assert [judge(der, rules, "subject").fits for rules in ((), both, both[:1])] == [True, True, False]
    assert judge(der, (), "subject").field == b":" + b64encode(der) + b":"


@pytest.mark.parametrize(
    ("kind", "identity"),
    [
        ("subject", SUBJECT),
        ("common_name", "Device 7"),
        ("dns", "api.example.com"),
        ("uri", "spiffe://example.org/ns/web"),
        ("email", "ops@example.com"),
    ],
)
def test_who_it_is_is_the_first_name_of_the_kind_asked_for(issue: Issue, kind: str, identity: str) -> None:
    assert judge(issue(*NAMES, subject=SUBJECT), (), kind).identity == identity
    nobody = issue(subject="")
    assert judge(nobody, (), kind).identity == f"sha256:{sha256(nobody).hexdigest()}"


def test_a_name_that_could_break_a_log_line_is_nobodys(issue: Issue) -> None:
    der = issue(subject="CN=a\\0ax-admin: 1")
    assert judge(der, (), "common_name").identity.startswith("sha256:")
    assert judge(der, (), "fingerprint").identity == f"sha256:{sha256(der).hexdigest()}"


@pytest.mark.parametrize(
    "text", ["*", "**.a", "a*", "a.*.b", "*a.example", "*.", "*@", "", "/*", "*./*", "*.a/*", "a*/*"]
)
def test_a_star_stands_where_it_means_one_thing(text: str) -> None:
    with pytest.raises(ValueError, match="is no pattern"):
        Pattern(text)


@pytest.mark.parametrize(
    ("pattern", "meets", "does_not"),
    [
        ("*.a.example", ["b.a.example", "*.a.example"], ["a.example", ".a.example", "c.b.a.example", "b.a.examplex"]),
        ("*@a.example", ["b@a.example", "b.c@a.example"], ["@a.example", "b@c@a.example", "b@x.a.example"]),
        ("x://a/*", ["x://a/b", "x://a/b/c"], ["x://a/", "x://a", "x://ab/c"]),
        ("a.b", ["a.b"], ["axb", "a.b\n", "A.B"]),
    ],
)
def test_patterns(pattern: str, meets: list[str], does_not: list[str]) -> None:
    assert all(Pattern(pattern).meets([name]) for name in meets)
    assert not any(Pattern(pattern).meets([name]) for name in does_not)
    assert Pattern(pattern).meets([*does_not, *meets])
    assert not Pattern(pattern).meets([])
