from __future__ import annotations

import ssl

import pytest
from cryptography.hazmat.primitives import serialization

from edgeproxy.config.connections import OriginTlsConfig
from edgeproxy.origin.tls import OriginTls, Session
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_authorities_that_cannot_be_used_are_said(tmp_path):
    with pytest.raises(ValueError, match=r"tls\.ca: /nowhere/ca\.pem cannot be used: No such file"):
        OriginTls("site", OriginTlsConfig(ca="/nowhere/ca.pem"))
    (tmp_path / "ca.pem").write_text("no PEM")
    with pytest.raises(ValueError, match=r"tls\.ca: .*ca\.pem cannot be used"):
        OriginTls("site", OriginTlsConfig(ca=str(tmp_path / "ca.pem")))


def test_a_certificate_that_is_not_its_keys_is_said(authority):
    pair, other = authority.issue("a.example"), authority.issue("b.example")
    with pytest.raises(ValueError, match=r"tls\.certificate: .*a\.example\.pem cannot be used: KEY_VALUES_MISMATCH"):
        OriginTls("site", OriginTlsConfig(certificate=str(pair.certificate), key=str(other.key)))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(authority):
    pair = authority.issue("a.example")
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    with pytest.raises(ValueError, match=r"tls\.certificate: .* cannot be used") as caught:
        OriginTls("site", OriginTlsConfig(certificate=str(pair.certificate), key=str(pair.key)))
    assert "secret" not in str(caught.value)


def test_changed_files_are_taken_over_and_damaged_ones_not(authority, caplog):
    pair = authority.issue("a.example")
    tls = OriginTls(
        "site", OriginTlsConfig(ca=str(authority.file), certificate=str(pair.certificate), key=str(pair.key))
    )
    before = tls.context
    authority.issue("a.example")
    tls.renew()
    after = tls.context
    assert after is not before
    pair.key.write_text("damaged")
    tls.renew()
    assert tls.context is after
    assert "the last ones are used on" in caplog.text


def test_a_session_ends_with_the_context_it_was_made_in(authority):
    tls = OriginTls("site", OriginTlsConfig(ca=str(authority.file)))
    session = Session(tls)
    assert session.context() is tls.context
    session.learn(None)  # a connection without TLS, or gone
    assert session.context() is tls.context
    tls.renew()
    assert session.context() is tls.context


def test_versions_and_protocol():
    assert OriginTls("site", OriginTlsConfig()).context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert OriginTls("site", OriginTlsConfig(min_version="1.3")).context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert not OriginTls("site", OriginTlsConfig(verify=False)).context.check_hostname
    with pytest.raises(ValueError, match="there is no certificate that it is for"):
        OriginTlsConfig(key="/run/key.pem")
