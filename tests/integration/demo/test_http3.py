"""The demo site over HTTP/3 in a real browser, which trusts no authority but knows the key."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.browser import browser_page
from tests.support.http3 import Http3Site

PAGES = ("/", "/stations/", "/photographs/", "/live/", "/sign-in/")
PROTOCOLS = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map((entry) => entry.nextHopProtocol)"""


@pytest.mark.slow
async def test_every_page_comes_over_http3_with_all_it_loads(origin: str) -> None:
    with Http3Site(origin=origin) as site:
        key = x509.load_pem_x509_certificate(site.pair.certificate.read_bytes()).public_key()
        info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        flags = (
            f"--origin-to-force-quic-on=localhost:{site.port}",
            f"--ignore-certificate-errors-spki-list={base64.b64encode(hashlib.sha256(info).digest()).decode()}",
            "--host-resolver-rules=MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        )
        async with browser_page(flags=flags, quic=True) as page:
            for path in PAGES:
                await page.open(f"https://localhost:{site.port}{path}")
                protocols = await page.run(PROTOCOLS)
                assert set(protocols) == {"h3"}, path
                assert page.complaints == [], path
        assert site.metric("edgeproxy_http3_errors_total") == 0
