from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.config.acme import AcmeConfig, ExternalAccountConfig, OnDemandConfig
from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.load import load_text
from edgeproxy.config.trial import load_and_build

BASE = """
pools: {site: {endpoints: ["http://127.0.0.1:8000"]}}
routes: [{name: all, pool: site}]
"""


def acme(**settings: Any) -> AcmeConfig:
    return AcmeConfig(agree_to_terms=True, **settings)


def errors(text: str) -> str:
    with pytest.raises(ConfigErrors) as caught:
        load_text(text + BASE, "x.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"agree_to_terms": False}, "agree_to_terms: must be true"),
        ({"directory": "lets-encrypt"}, "is no authority: letsencrypt, letsencrypt-staging, zerossl"),
        ({"directory": "http://ca.example/dir"}, "is no authority"),
        ({"email": "nobody"}, "is no address of mail"),
        ({"email": "a@b.example,c@d.example"}, "is no address of mail"),
        ({"challenge": "dns-01"}, "dns_hook: is needed"),
        ({"dns_hook": "/bin/true"}, "for no other"),
        ({"challenge": "dns-01", "dns_hook": "hook"}, "not an absolute path"),
        ({"storage_key": "/etc/hostname"}, "is for storage: redis"),
        ({"groups": [["a.example", "*.a.example"]]}, r"\*\.a\.example can be proved by challenge: dns-01 alone"),
        ({"groups": [["a.example"], ["a.example", "b.example"]]}, "a name is in one of them"),
        ({"groups": [[]]}, "1 to 100 names"),
        ({"renew_before": 0.8, "spread": 0.3}, "less than 5%"),
        ({"on_demand": {}}, "says no name that is allowed"),
        ({"on_demand": {"ask": "http://rules.example/"}}, "no address to ask"),
        ({"external_account": {"kid": "x"}}, "give one of hmac and hmac_file"),
        ({"external_account": {"kid": "x", "hmac": "!!"}}, "base64url of 16 bytes or more"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AcmeConfig(**{"agree_to_terms": True, **settings})


def test_authorities_have_names() -> None:
    assert acme().url == "https://acme-v02.api.letsencrypt.org/directory"
    assert acme(directory="https://ca.example/dir").url == "https://ca.example/dir"


def test_a_name_is_in_its_group_or_alone() -> None:
    config = acme(groups=[["a.example", "www.a.example"]])
    assert config.group_of("www.a.example") == ("a.example", "www.a.example")
    assert config.group_of("b.example") == ("b.example",)


def test_a_rule_allows_names_and_names_below() -> None:
    rule = OnDemandConfig(allow=("a.example", "*.b.example"))
    assert rule.permits("a.example")
    assert rule.permits("x.y.b.example")
    assert not rule.permits("b.example")
    assert not rule.permits("xb.example")
    assert OnDemandConfig(ask="https://rules.example/").permits("any.example")
    assert not OnDemandConfig(ask="https://rules.example/").listed("any.example")


def test_secrets_come_from_files_and_are_shown_nowhere(tmp_path: Path) -> None:
    key = tmp_path / "hmac"
    key.write_text("c2VjcmV0c2VjcmV0c2VjcmV0\n")
    account = ExternalAccountConfig(kid="x", hmac_file=str(key))
    assert account.secret() == "c2VjcmV0c2VjcmV0c2VjcmV0"
    shown = ExternalAccountConfig(kid="x", hmac="c2VjcmV0c2VjcmV0c2VjcmV0")
    assert "c2VjcmV0" not in repr(shown) + shown.model_dump_json()
    key.write_text("")
    with pytest.raises(ValueError, match="holds no secret"):
        account.secret()


def test_the_key_of_the_storage_has_its_length(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 31)
    with pytest.raises(ValidationError, match="at least 32 bytes"):
        acme(storage="redis", storage_key=str(secret))
    secret.write_text("x" * 32)
    assert acme(storage="redis", storage_key=str(secret)).sealing() == b"x" * 32
    assert acme().sealing() is None


def test_sections_that_do_not_go_together_are_errors_at_their_places() -> None:
    listeners = 'listeners: [{address: ":443", tls: {acme: [a.example, "*.b.example"], on_demand: true}}]\n'
    said = errors(listeners + "acme: {agree_to_terms: true, storage: redis}\n")
    assert "acme.storage: redis needs cache.redis" in said
    assert "listeners[0].tls.acme[1]: *.b.example can be proved by acme.challenge: dns-01 alone" in said
    assert "listeners[0].tls.on_demand: needs acme.on_demand" in said
    assert "listeners[0].tls.acme: needs acme" in errors('listeners: [{address: ":443", tls: {acme: a.example}}]\n')


def test_a_folder_that_can_be_none_is_refused_before_it_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    whole = tmp_path / "edgeproxy.yaml"
    acme = f"acme: {{agree_to_terms: true, folder: {tmp_path}/file/acme}}\n"
    whole.write_text('listeners: [{address: "127.0.0.1:8080"}]\n' + acme + BASE)
    with pytest.raises(ConfigErrors, match=r"acme: folder: .* is no folder that may be written"):
        load_and_build(whole)
