from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgeproxy import __version__
from edgeproxy.cli import main
from tests.support.certificates import Authority
from tests.support.mmdb import country, mmdb

ROOT = Path(__file__).parents[2]
TEXT = """
listeners: [{address: ":8080"}]
pools:
  near: {endpoints: [http://127.0.0.1:1, {url: http://127.0.0.1:2, weight: 3}], fallback: far}
  far: {endpoints: [http://127.0.0.1:3]}
routes:
  - {name: api, pool: near, match: {host: a.example, path: /api/, method: POST}, middleware: {cache: off}}
  - {name: pages, pool: far, match: {host: a.example}, middleware: {bot_check: {mode: observe}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "edge.yaml").write_text(TEXT)
    return tmp_path / "edge.yaml"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_version() -> None:
    assert call("--version").output == f"edgeproxy {__version__}\n"


def test_the_package_is_the_command() -> None:
    said = subprocess.check_output([sys.executable, "-m", "edgeproxy", "--help"], text=True)
    assert said.startswith("Usage: edgeproxy [OPTIONS]")
    assert all(f"  {command} " in said for command in main.commands)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_of_every_command_has_examples(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"edgeproxy {command}" in result.output.partition("Example")[2]


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, edgeproxy.cli; print(sorted({'pydantic', 'aiohttp', 'yaml', 'asyncio'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_check_of_a_good_file_is_one_line(file: Path) -> None:
    result = call("check", file)
    assert result.exit_code == 0
    assert result.stdout == f"{file}: ok: listens on 0.0.0.0:8080; 2 routes, 2 pools, 6 stages\n"


def test_check_prints_every_mistake_and_exits_with_1(file: Path) -> None:
    file.write_text(TEXT.replace("pool: far", "pool: fra").replace("path: /api/", "path: api"))
    result = call("check", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{file}:7:60: routes[0].match.path: 'api' is not a path; it begins with / and has no query",
        f"{file}:8:25: routes[1].pool: there is no pool 'fra'; did you mean 'far'?",
        "2 errors",
    ]


def test_check_builds_what_it_checks(file: Path) -> None:
    """A certificate that is there but is none is found before it is served."""
    for name in ("a.pem", "a.key"):
        (file.parent / name).write_text("no certificate")
    file.write_text(TEXT.replace('":8080"', '":8443", tls: {certificates: [{certificate: a.pem, key: a.key}]}'))
    result = call("check", file)
    assert result.exit_code == 1
    assert f"{file}:2:53: listeners[0].tls.certificates[0]: cannot be used: " in result.stderr


def _with_certificates(file: Path, certificate: Path, key: Path) -> None:
    pair = f'{{certificate: "{certificate}", key: "{key}"}}'
    file.write_text(TEXT.replace('":8080"', f'":8443", tls: {{certificates: [{pair}]}}'))


def test_check_says_that_a_key_is_another_certificates(file: Path) -> None:
    authority = Authority(file.parent)
    one, other = authority.issue("a.example"), authority.issue("b.example")
    _with_certificates(file, one.certificate, other.key)
    result = call("check", file)
    assert result.exit_code == 1
    assert "the key is not this certificate's" in result.stderr
    assert f"{file}:2:" in result.stderr


def test_check_warns_of_certificates_past_their_end_or_near_it(file: Path) -> None:
    authority = Authority(file.parent)
    for days, said in (((-90, -2), "expired 2 d ago"), ((-90, 4), "expires in 3 d"), ((-1, 80), "")):
        _with_certificates(file, *authority.issue("a.example", days=days))
        result = call("check", file)
        assert result.exit_code == 0
        assert said in result.stderr
        assert bool(result.stderr) == bool(said)


def test_check_reads_the_authorities_of_clients(file: Path) -> None:
    pair = Authority(file.parent).issue("a.example")
    (file.parent / "clients.pem").write_text("no authority")
    checked = f'client_certificate: require, client_ca: "{file.parent}/clients.pem"'
    text = f'{{certificates: [{{certificate: "{pair.certificate}", key: "{pair.key}"}}], {checked}}}'
    file.write_text(TEXT.replace('":8080"', f'":8443", tls: {text}'))
    result = call("check", file)
    assert result.exit_code == 1
    assert "listeners[0].tls.client_ca: cannot be used: no authority that can be read" in result.stderr


def test_check_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = call("check", tmp_path / "none.yaml")
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path}/none.yaml: cannot be read: No such file or directory\n1 error\n"


def test_schema_is_json_schema_of_the_build() -> None:
    schema = json.loads(call("schema").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "rate_limit" in schema["$defs"]["Config"]["properties"]["middleware"]["properties"]


def test_explain_shows_route_stages_key_and_endpoints(file: Path) -> None:
    assert call("explain", "http://a.example/api/x?y=1", "-c", file).stdout.splitlines() == [
        "route     pages: most specific: exact host, any path",
        "  not     api: method: GET is not POST",
        "stages    1. request_id",
        "          2. client_address",
        "          3. bot_check (observe)",
        "          4. flood",
        "          5. compression",
        "          6. cache: key http://a.example/api/x?y=1 (scheme, host, path, query)",
        "pool      far: class_ewma over 1",
        "          - http://127.0.0.1:3",
    ]


def test_explain_takes_method_and_shows_the_fallback(file: Path) -> None:
    lines = call("explain", "http://a.example/api/x", "-c", file, "-X", "post").stdout.splitlines()
    assert lines[0] == "route     api: most specific: exact host, path prefix of 4 bytes, 1 further condition"
    assert lines[-5:] == [
        "pool      near: class_ewma over 2",
        "          - http://127.0.0.1:1",
        "          - http://127.0.0.1:2 (weight 3)",
        "  then    far: class_ewma over 1",
        "          - http://127.0.0.1:3",
    ]


def test_explain_takes_headers(file: Path) -> None:
    file.write_text(TEXT.replace("method: POST", "header: {x-beta: 1}"))
    assert "route     api" in call("explain", "http://a.example/api/", "-c", file, "-H", "X-Beta: 1").stdout
    assert "x-beta is not 1" in call("explain", "http://a.example/api/", "-c", file).stdout


def test_explain_shows_the_pools_of_countries(file: Path) -> None:
    (file.parent / "places.mmdb").write_bytes(mmdb({"192.0.2.0/24": country("DE")}))
    with_pools = TEXT.replace("pool: far,", "pool: far, country_pools: {near: [DE, NO]},")
    file.write_text(with_pools)
    assert "routes[1].country_pools: needs the geo stage on this route" in call("check", file).stderr
    file.write_text(with_pools + "middleware: {geo: {files: places.mmdb}}\n")
    assert call("explain", "http://a.example/", "-c", file).stdout.splitlines()[-8:] == [
        "pool      far: class_ewma over 1",
        "          - http://127.0.0.1:3",
        "  from    DE, NO:",
        "  pool    near: class_ewma over 2",
        "          - http://127.0.0.1:1",
        "          - http://127.0.0.1:2 (weight 3)",
        "  then    far: class_ewma over 1",
        "          - http://127.0.0.1:3",
    ]


REGIONS = """
listeners: [{address: ":8080"}]
pools:
  site:
    endpoints:
      - {url: "http://127.0.0.1:1", region: us}
      - {url: "http://127.0.0.1:2", region: eu, weight: 3, priority: 1}
    regions: {us: {at: [39, -77.5], countries: [NO]}, eu: {at: [50.1, 8.7]}}
    prefer: distance
routes: [{name: all, pool: site}]
middleware: {geo: {files: places.mmdb}}
"""


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ((), "by distance from nowhere known: us, eu"),
        (("--from", "de"), "by distance from DE: eu (148 km), us (6555 km)"),
        (("--from", "US"), "by distance from US: us (1383 km), eu (7558 km)"),
        (("--from", "NO"), "by distance from NO: us (6161 km), eu (1158 km)"),
    ],
)
def test_explain_shows_the_order_of_regions(options: tuple[str, ...], order: str, file: Path) -> None:
    (file.parent / "places.mmdb").write_bytes(mmdb({"192.0.2.0/24": country("DE")}))
    file.write_text(REGIONS)
    assert call("explain", "http://a.example/", "-c", file, *options).stdout.splitlines()[-4:] == [
        "pool      site: class_ewma over 2",
        f"          {order}",
        "          - http://127.0.0.1:1 (region us)",
        "          - http://127.0.0.1:2 (weight 3, priority 1, region eu)",
    ]


def test_explain_refuses_what_is_no_country(file: Path) -> None:
    assert "'XX' is no country" in call("explain", "http://a.example/", "-c", file, "--from", "xx").stderr


@pytest.mark.parametrize("route", ["pool: site", "pool: before"])
def test_check_asks_for_the_stage_that_knows_where_clients_are(route: str, file: Path) -> None:
    before = "pools:\n  before: {endpoints: ['http://127.0.0.1:3'], fallback: site}"
    text = REGIONS.replace("pools:", before).replace("pool: site", route)
    file.write_text(text.replace("middleware:", "#"))
    assert "pools.site.prefer: distance needs the geo stage on route 'all'" in call("check", file).stderr


def test_check_finds_a_country_with_two_pools_and_a_pool_that_is_not_there(file: Path) -> None:
    file.write_text(TEXT.replace("pool: far,", "pool: far, country_pools: {nera: [DE], near: [de, AT], far: CH},"))
    assert [line.partition(" ")[2] for line in call("check", file).stderr.splitlines()] == [
        "routes[1].country_pools.nera: there is no pool 'nera'; did you mean 'near'?",
        "routes[1].country_pools.near: DE has a pool already: nera",
        "errors",
    ]


def test_explain_says_when_there_is_no_route(file: Path) -> None:
    assert call("explain", "http://b.example/", "-c", file).stdout.startswith("route     none: the answer is 404\n")


@pytest.mark.parametrize("url", ["ftp://a.example/", "http:///x", "http://a.example/../..", "http://a b/"])
def test_explain_refuses_what_is_no_url(url: str, file: Path) -> None:
    result = call("explain", url, "-c", file)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_purge_refuses_what_is_no_address() -> None:
    assert call("purge", "http://a.example/", "--admin", "nowhere").exit_code == 2
