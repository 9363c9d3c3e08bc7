"""Client certificates on the wire: a real handshake, rules by route, what the origin is told, what the cache shares."""

from __future__ import annotations

import ssl
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import Answer
from tests.support.certificates import Authority, Pair
from tests.support.client import RawClient
from tests.support.origin import RecordedRequest, answer
from tests.support.processes import EdgeProcess
from tests.support.servers import free_port
from tests.support.site import Site, config, request

FORGED = (b"Client-Cert: :Zm9yZ2Vk:", b"Client_Cert: :Zm9yZ2Vk:", b"Client-Cert-Chain: :Zm9yZ2Vk:")


class Secured:
    """The proxy with a listener that asks for certificates, and clients that show some."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.site = site
        self.authority, clients = Authority(folder), Authority(folder, "clients")
        server = self.authority.issue("a.example")
        self.web = clients.issue("spiffe://a.example/ns/web", subject="CN=web,O=Example", file="web")
        self.db = clients.issue("spiffe://a.example/ns/db", subject="CN=db,O=Example", file="db")
        self.other = clients.issue("spiffe://b.example/ns/web", subject="CN=web,O=Other", file="other")
        self.port = free_port()
        tls = {
            "certificates": [{"certificate": str(server.certificate), "key": str(server.key)}],
            "client_certificate": "request",
            "client_ca": str(clients.file),
        }
        whole = config(
            site.url,
            listeners=[{"address": f"127.0.0.1:{self.port}", "tls": tls}],
            middleware={"client_certificate": {"allow": [{"uri": "spiffe://a.example/*"}], "forward": True}},
        )
        web_only = {"client_certificate": {"allow": [{"subject": {"CN": "web"}, "uri": "spiffe://a.example/ns/web"}]}}
        open_ = {"client_certificate": {"optional": True, "allow": []}}
        whole["routes"] += [
            {"name": "web", "match": {"path": "/web"}, "pool": "site", "middleware": web_only},
            {"name": "open", "match": {"path": "/open"}, "pool": "site", "middleware": open_},
        ]
        self.edge = EdgeProcess(whole)

    def get(self, shown: Pair | None, target: bytes = b"/", *fields: bytes) -> Answer:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        with RawClient(("127.0.0.1", self.port), tls=context, server_name="a.example") as client:
            client.send(request(target, *fields))
            (got,) = client.answers(1).final
            return got


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with Site() as site:
        secured = Secured(tmp_path_factory.mktemp("certificates"), site)
        with secured.edge:
            yield secured


def test_who_shows_a_certificate_that_fits_is_served(secured: Secured) -> None:
    assert [secured.get(shown).status for shown in (secured.web, secured.db, secured.other, None)] == [
        *(200, 200, 403, 403)
    ]
    assert secured.get(None).body == b"403 A client certificate is needed.\n"
    assert secured.get(secured.other).body == b"403 This certificate does not let you in.\n"


def test_routes_have_rules_of_their_own(secured: Secured) -> None:
    assert [secured.get(shown, b"/web").status for shown in (secured.web, secured.db, None)] == [200, 403, 403]
    assert [secured.get(shown, b"/open").status for shown in (secured.web, secured.other, None)] == [200] * 3


def test_the_origin_is_told_the_certificate_and_nothing_forged(secured: Secured) -> None:
    secured.get(secured.web, b"/told", *FORGED)
    secured.get(None, b"/open/told", *FORGED)
    (known,), (nobody,) = secured.site.to(b"/told"), secured.site.to(b"/open/told")
    field = known.get(b"client-cert") or b""
    assert field[:1] == field[-1:] == b":"
    assert b64decode(field[1:-1]) == ssl.PEM_cert_to_DER_cert(secured.web.certificate.read_text())
    for seen in (known, nobody):
        names = [name.replace(b"_", b"-") for name, _ in seen.fields]
        assert names.count(b"client-cert") == (seen is known)
        assert b"client-cert-chain" not in names


def test_what_was_made_for_one_is_not_kept_for_another(secured: Secured) -> None:
    def serve(seen: RecordedRequest) -> bytes:
        return answer(200, (seen.get(b"client-cert") or b"nobody")[-40:], b"Cache-Control: max-age=60")

    secured.site.on(b"/own", serve)
    bodies = [secured.get(shown, b"/own").body for shown in (secured.web, secured.db, secured.web, secured.db)]
    assert bodies[:2] == bodies[2:]
    assert bodies[0] != bodies[1]


def test_the_log_names_who_it_was(secured: Secured) -> None:
    secured.get(secured.web, b"/logged")
    assert secured.edge.stop() == 0
    (line,) = [line for line in secured.edge.logs().splitlines() if "/logged" in line]
    assert '"identity":"CN=web,O=Example"' in line
    assert "Traceback" not in secured.edge.logs()
