"""The client_certificate stage: its settings, what it refuses, and who is let in."""

from __future__ import annotations

import ssl
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.pipeline.exchange import Exchange, TLSInfo
from middleware.client_certificate import ClientCertificate
from tests.support.certificates import Authority
from tests.support.stages import exchange, services, stage

SPIFFE = "spiffe://example.org/ns/web"


@pytest.fixture(scope="module")
def der(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    pair = Authority(tmp_path_factory.mktemp("authority")).issue(SPIFFE, "A.example", subject="CN=web,O=Example")
    return ssl.PEM_cert_to_DER_cert(Path(pair.certificate).read_text())


def showing(der: bytes | None) -> Exchange:
    x = exchange()
    x.peer = x.peer._replace(tls=TLSInfo("TLSv1.3", "", "", der))
    return x


def test_any_certificate_will_do_where_nothing_is_said(der: bytes) -> None:
    x = showing(der)
    assert stage(ClientCertificate).request(x) is None
    assert x.identity == "CN=web,O=Example"


@pytest.mark.parametrize(
    ("allow", "let_in"),
    [
        ([{"uri": "spiffe://example.org/*"}], True),
        ([{"dns": "b.example"}, {"dns": "A.EXAMPLE"}], True),
        ([{"dns": "*.example"}], True),
        ([{"subject": {"O": "Example", "CN": ["db", "web"]}, "issuer": {"CN": "authority"}}], True),
        ([{"dns": "b.example"}], False),
        ([{"uri": SPIFFE, "subject": {"O": "Other"}}], False),
        ([{"ip": "192.0.2.0/24"}], False),
        ([{"email": "*@example.org"}], False),
    ],
)
def test_rules_choose_among_them(der: bytes, allow: list[dict[str, Any]], let_in: bool) -> None:
    x = showing(der)
    answer = stage(ClientCertificate, {"allow": allow}).request(x)
    assert (answer is None) is let_in
    assert (x.identity != "") is let_in


@pytest.mark.parametrize("write", [str, str.upper, lambda text: ":".join(text[i : i + 2] for i in range(0, 64, 2))])
def test_a_fingerprint_may_be_written_as_tools_write_it(der: bytes, write: Any) -> None:
    settings = {"allow": [{"fingerprint": write(sha256(der).hexdigest())}]}
    assert stage(ClientCertificate, settings).request(showing(der)) is None


def test_refusals_say_what_is_missing(der: bytes) -> None:
    lent = services()
    demand = stage(ClientCertificate, {"allow": [{"dns": "b.example"}]}, lent)
    bodies = []
    for shown in (None, der):
        answer = demand.request(showing(shown))
        assert answer is not None
        assert (answer.status, answer.get(b"cache-control")) == (403, b"no-store")
        bodies.append(answer.body)
    assert bodies == [b"403 A client certificate is needed.\n", b"403 This certificate does not let you in.\n"]
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("client_certificate") == 2


def test_optional_identity_and_forwarding(der: bytes) -> None:
    known = stage(ClientCertificate, {"optional": True, "identity": "uri", "forward": True})
    assert known.request(showing(None)) is None
    x = showing(der)
    assert known.request(x) is None
    assert x.identity == SPIFFE
    assert x.request.headers[b"client-cert"].startswith(b":MII")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"allow": [{}]}, "asks for nothing"),
        ({"allow": [{"subject": {"SAN": "x"}}]}, "CN"),
        ({"allow": [{"dns": "a.*.example"}]}, "is no pattern"),
        ({"allow": [{"uri": "*"}]}, "is no pattern"),
        ({"allow": [{"fingerprint": "12:34"}]}, "64 hexadecimal digits"),
        ({"allow": [{"fingerprint": "g" * 64}]}, "64 hexadecimal digits"),
        ({"allow": [{"ip": "example"}]}, "ip"),
        ({"identity": "serial"}, "subject"),
        ({"allow": [{"spki": "x"}]}, "spki"),
    ],
)
def test_bad_settings_are_refused_with_the_reason(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        stage(ClientCertificate, settings)


def test_the_stages_alone_import_no_cryptography() -> None:
    code = "import sys, middleware.client_certificate, middleware.web_bot_auth; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
