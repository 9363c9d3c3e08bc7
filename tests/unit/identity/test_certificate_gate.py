"""What every request on a route with client certificates passes."""

from __future__ import annotations

from edgeproxy.http.message import Response
from edgeproxy.identity.certificate_gate import CertificateGate, Shown
from edgeproxy.pipeline.exchange import Exchange, TLSInfo
from tests.support.stages import exchange


def showing(der: bytes | None, **headers: bytes) -> Exchange:
    """An exchange over TLS with this certificate; b"" for one that is not over TLS."""
    x = exchange(headers={name.encode(): value for name, value in headers.items()})
    if der != b"":
        x.peer = x.peer._replace(tls=TLSInfo("TLSv1.3", "", "", der))
    return x


def gate(*, optional: bool = False, forward: bool = False, judged: list[bytes] | None = None) -> CertificateGate:
    def judge(der: bytes) -> Shown:
        if judged is not None:
            judged.append(der)
        return Shown(der.startswith(b"good"), der.decode(), b":%b:" % der)

    return CertificateGate(judge, lambda shown: Response(403, {b"shown": b"%d" % shown}), optional, forward)


def test_a_certificate_that_fits_makes_somebody() -> None:
    x = showing(b"good")
    assert gate().check(x) is None
    assert x.identity == "good"
    assert b"client-cert" not in x.request.headers


def test_none_and_a_wrong_one_are_refused_and_told_apart() -> None:
    for der, shown in ((None, b"0"), (b"", b"0"), (b"bad", b"1")):
        x = showing(der)
        answer = gate().check(x)
        assert answer is not None
        assert (answer.status, answer.get(b"shown"), x.identity) == (403, shown, "")


def test_optional_lets_nobody_in_as_nobody_but_no_wrong_one() -> None:
    for der in (None, b""):
        x = showing(der)
        assert gate(optional=True).check(x) is None
        assert x.identity == ""
    assert gate(optional=True).check(showing(b"bad")) is not None


def test_the_origin_is_told_the_true_certificate_and_never_what_clients_say() -> None:
    forged = {"client-cert": b":Zm9yZ2Vk:", "client_cert": b"x", "client-cert-chain": b"x", "client_cert-chain": b"x"}
    x = showing(b"good", **forged, other_one=b"stays")
    assert gate(forward=True).check(x) is None
    assert x.request.headers == {b"client-cert": b":good:", b"other_one": b"stays"}
    for der in (b"good", None):
        x = showing(der, **forged)
        assert gate(optional=True).check(x) is None
        assert x.request.headers == {}


def test_a_certificate_is_judged_once() -> None:
    judged: list[bytes] = []
    checked = gate(judged=judged)
    for der in (b"good", b"good 2", b"good", b"bad", b"bad"):
        checked.check(showing(der))
    assert judged == [b"good", b"good 2", b"bad"]


def test_what_came_of_it_shows_no_certificate() -> None:
    assert repr(Shown(True, "CN=a", b":AAAA:")) == "<Shown 'CN=a', fits>"
    assert repr(Shown(False, "CN=a", b":AAAA:")) == "<Shown 'CN=a', does not fit>"
