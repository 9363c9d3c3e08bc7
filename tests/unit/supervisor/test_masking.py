import pytest

from edgeproxy.supervisor.masking import masked


@pytest.mark.parametrize(
    "key",
    [
        *("secret", "client_secret", "password", "passwords", "secrets"),
        *("access-token", "api_key", "X-Api-Key", "authorization", "Cookie"),
    ],
)
def test_values_under_secret_keys_are_masked(key):
    assert masked({key: "hunter2"}) == {key: "***"}
    assert masked({"a": [{key: ["hunter2", "3"]}]}) == {"a": [{key: ["***", "***"]}]}
    assert masked({key: {"value": "hunter2"}}) == {key: "***"}


def test_other_values_stay():
    config = {
        "workers": 2,
        "rate_limit": {"key": "client.ip", "rate": "100/s"},
        "tls": None,
        "on": True,
        "pools": ["a"],
    }
    assert masked(config) == config


def test_a_file_of_a_key_is_no_secret():
    assert masked({"tls": {"certificates": [{"certificate": "a.pem", "key": "a.key"}]}})["tls"]["certificates"][0] == {
        "certificate": "a.pem",
        "key": "a.key",
    }


def test_passwords_in_urls_are_masked():
    assert masked({"jwks": "https://me:hunter2@b.example/x?y=1"}) == {"jwks": "https://***@b.example/x?y=1"}
    assert masked({"mail": "a@b"}) == {"mail": "a@b"}
