"""`edgeproxy sign`: what it prints is let in by the stage of the same configuration."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from edgeproxy.clock import Clock
from edgeproxy.commands.sign import SECRET as VARIABLE
from middleware.signed_url import SignedUrl
from tests.support.stages import exchange, services, stage

SECRET, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
KEYS = {"2027a": SECRET, "2027b": OTHER}
TEXT = f"""
listeners: [{{address: ":8080"}}]
pools: {{site: {{endpoints: [http://127.0.0.1:1]}}}}
routes:
  - {{name: open, pool: site, match: {{path: /open/}}}}
  - name: bound
    pool: site
    match: {{path: /bound/}}
    middleware: {{signed_url: {{secrets: {KEYS}, client: true, ipv4_prefix: 24, signature_parameter: s}}}}
  - {{name: film, pool: site, middleware: {{signed_url: {{secrets: {KEYS}, unsigned: t, cookie: pass}}}}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "edge.yaml").write_text(TEXT)
    return str(tmp_path / "edge.yaml")


def call(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["sign", *arguments], env=env)


def passes(url: str, address: str = "192.0.2.7", **settings: object) -> bool:
    guard = stage(SignedUrl, {"secrets": KEYS, **settings}, services(Clock()))
    parts = urlsplit(url)
    return guard.request(exchange(f"{parts.path}?{parts.query}".encode(), client=address)) is None


def test_a_url_signed_by_the_configuration_is_let_in(file: str) -> None:
    for more in ([], ["--key-id", "2027b"], ["--expires", "5m"]):
        url = call("-c", file, "https://a.example/x/../film%2emp4?q=1&t=2", *more).output.strip()
        assert url.startswith("https://a.example/film.mp4?q=1&t=2&expires=")
        assert passes(url, unsigned="t")
        assert passes(url.replace("t=2", "t=3"), unsigned="t")
        assert not passes(url.replace("q=1", "q=2"), unsigned="t")


def test_a_folders_url_and_cookie_are_good_for_all_below_it(file: str) -> None:
    url = call("-c", file, "https://a.example/hls/", "--folder").output.strip()
    assert passes(url.replace("/hls/?", "/hls/1.ts?"))
    cookie = call("-c", file, "https://a.example/hls/", "--folder", "--cookie").output.strip()
    guard = stage(SignedUrl, {"secrets": KEYS, "cookie": "pass"}, services(Clock()))
    assert guard.request(exchange(b"/hls/1.ts", {b"cookie": f"pass={cookie}".encode()})) is None
    assert guard.request(exchange(b"/film", {b"cookie": f"pass={cookie}".encode()})) is not None


def test_a_url_for_one_client_is_good_in_its_network(file: str) -> None:
    url = call("-c", file, "https://a.example/bound/a", "--client", "192.0.2.7").output.strip()
    settings = {"client": True, "ipv4_prefix": 24, "signature_parameter": "s"}
    assert passes(url, "192.0.2.99", **settings)
    assert not passes(url, "192.0.3.7", **settings)


def test_without_a_configuration_the_secret_is_in_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET + "\n")
    for more, env in (["--secret-file", str(tmp_path / "key")], {}), ([], {VARIABLE: SECRET}):
        result = call("https://a.example/film?q=1", "--key-id", "2027a", *more, env=env)
        assert passes(result.output.strip())
        assert SECRET not in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-c", "FILE", "https://a.example/open/a"], "the route for this URL, open, has no signed_url"),
        (["-c", "FILE", "https://a.example/a", "--key-id", "x"], "there is no key 'x'; there is 2027a, 2027b"),
        (["-c", "FILE", "https://a.example/bound/a"], "is for one client: give --client"),
        (["-c", "FILE", "https://a.example/a", "--client", "192.0.2.7"], "is for any client"),
        (["-c", "FILE", "https://a.example/a", "--folder"], "ends with a slash"),
        (["-c", "FILE", "https://a.example/a/?b", "--folder"], "has no query"),
        (["-c", "FILE", "https://a.example/a?keyid=x"], "has one of the signature's parameters already"),
        (["-c", "FILE", "/a"], "is not a URL"),
        (["-c", "FILE", "https://a.example/a", "--expires", "soon"], "is not a duration"),
        (["https://a.example/a", "--key-id", "x", "--client", "me"], "32 bytes or more is needed"),
        (["https://a.example/a"], "--key-id"),
        (["https://a.example/a", "--key-id", "x", "--secret-file", "/nowhere"], "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(file: str, arguments: list[str], why: str) -> None:
    result = call(*[file if argument == "FILE" else argument for argument in arguments], env={VARIABLE: ""})
    assert result.exit_code != 0
    assert why in result.output
    assert SECRET not in result.output
