"""Countries in a running node: told to the origin, ruled by, cached by, and files that change under traffic."""

from __future__ import annotations

import http.client
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from edgeproxy.cli import main
from edgeproxy.geo.mmdb import open_database
from tests.support.mmdb import country, mmdb
from tests.support.servers import EdgeProcess, RecordedRequest, RecordingOrigin, answer, wait_until

GERMANY, AUSTRIA, FRANCE, NOWHERE = "203.0.113.7", "198.51.100.7", "192.0.2.7", "8.8.8.8"


def write(path: Path, austria: str = "AT") -> None:
    """A file that says where the three are, put in place of the one there was."""
    networks = {"203.0.113.0/24": country("DE"), "198.51.100.0/24": country(austria), "192.0.2.0/24": country("FR")}
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(mmdb(networks))
    fresh.replace(path)


def told(request: RecordedRequest) -> bytes:
    body = request.get(b"x-country") or b"none"
    return answer(200, body, b"Cache-Control: max-age=60" if request.target == b"/kept" else b"Cache-Control: no-store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "country.mmdb"
    write(path)
    return path


@pytest.fixture
def origin() -> Iterator[RecordingOrigin]:
    with RecordingOrigin(told) as origin:
        yield origin


def settings(origin: RecordingOrigin, file: Path, workers: int = 1) -> dict[str, Any]:
    return {
        "workers": workers,
        "middleware": {
            "client_address": {"trusted": "127.0.0.1"},
            "geo": {"files": str(file), "pass": {"country": "x-country"}},
            "access_rules": {"rules": [{"deny": {"country": "FR"}}]},
            "cache": {"key": {"country": True}},
        },
        "pools": {"site": {"endpoints": [origin.url]}},
        "routes": [{"name": "site", "pool": "site"}],
    }


def ask(edge: EdgeProcess, client: str, path: str = "/") -> tuple[int, bytes]:
    """Status and body of the answer to a client at that address, as the proxy in front tells it."""
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=5)
    try:
        connection.request("GET", path, headers={"x-forwarded-for": client, "x_country": "XX"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_the_origin_is_told_and_rules_and_keys_go_by_it(origin: RecordingOrigin, file: Path) -> None:
    with EdgeProcess(settings(origin, file)) as edge:
        assert ask(edge, GERMANY) == (200, b"DE")
        assert ask(edge, NOWHERE) == (200, b"none")
        assert ask(edge, FRANCE) == (403, b"403 Access denied.\n")
        assert all(request.get(b"x_country") is None for request in origin.requests)
        for _ in range(2):
            assert [ask(edge, client, "/kept")[1] for client in (GERMANY, AUSTRIA, NOWHERE)] == [b"DE", b"AT", b"none"]
        assert len([request for request in origin.requests if request.target == b"/kept"]) == 3
        assert "edgeproxy_geo_age_seconds" in edge.admin("/metrics")[1].decode()


@pytest.mark.slow
def test_files_change_under_traffic_and_damaged_ones_change_nothing(origin: RecordingOrigin, file: Path) -> None:
    bad: list[object] = []
    done = threading.Event()

    def traffic(edge: EdgeProcess) -> None:
        while not done.is_set():
            try:
                status, body = ask(edge, AUSTRIA)
            except OSError as error:
                bad.append(error)
            else:
                if status != 200 or body not in (b"AT", b"CH"):
                    bad.append((status, body))

    with EdgeProcess(settings(origin, file, workers=2)) as edge:
        workers = edge.worker_pids()
        client = threading.Thread(target=traffic, args=(edge,))
        client.start()
        try:
            whole = file.read_bytes()
            file.write_bytes(whole[: len(whole) // 2])  # in place: who had it mapped would be killed
            reloads = 'edgeproxy_geo_reload_total{file="country.mmdb",outcome="%s"} 2'
            wait_until(lambda: reloads % "refused" in edge.admin("/metrics")[1].decode(), "both have refused it", 15)
            assert ask(edge, AUSTRIA) == (200, b"AT")
            write(file, austria="CH")
            wait_until(lambda: reloads % "ok" in edge.admin("/metrics")[1].decode(), "both have taken it", 15)
            assert all(ask(edge, AUSTRIA) == (200, b"CH") for _ in range(8))
        finally:
            done.set()
            client.join()
        assert bad == []
        assert edge.worker_pids() == workers
        wait_until(lambda: edge.logs().count("keeping the one there was") == 2, "each worker has said so")


def checked(config: dict[str, Any], folder: Path) -> str:
    """What `edgeproxy check` finds wrong with a configuration."""
    path = folder / "edgeproxy.yaml"
    path.write_text(yaml.safe_dump({"listeners": [{"address": "127.0.0.1:8080"}], **config}))
    outcome = CliRunner().invoke(main, ["check", str(path)])
    assert outcome.exit_code != 0
    return outcome.output


def test_a_file_that_cannot_be_used_is_told_by_check(origin: RecordingOrigin, file: Path) -> None:
    file.write_bytes(b"<html>")
    assert f"{file} cannot be used: it has no metadata" in checked(settings(origin, file), file.parent)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ({"access_rules": {"rules": [{"deny": {"country": "FR"}}]}}, "the geo stage finds"),
        ({"cache": {"key": {"country": True}}}, "the geo stage finds"),
        ({"access_rules": {"rules": [{"deny": {"feed": "drop"}}]}}, "the feed 'drop'"),
    ],
)
def test_rules_by_what_no_stage_finds_are_told_by_check(
    origin: RecordingOrigin, file: Path, stages: dict[str, Any], said: str
) -> None:
    assert said in checked(settings(origin, file) | {"middleware": stages}, file.parent)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The country file of ip-location-db (CC0-1.0, made of the registries' data), as npm has it."""
    folder = tmp_path_factory.mktemp("published")
    name = "@ip-location-db/geo-whois-asn-country-mmdb"
    try:
        subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, timeout=60)
        subprocess.run(["tar", "-xzf", *folder.glob("*.tgz")], cwd=folder, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"npm cannot get {name} here: {type(error).__name__}")
    return folder / "package" / "geo-whois-asn-country.mmdb"


@pytest.mark.slow
def test_a_file_as_it_is_published_is_whole_and_knows_where_addresses_are(published: Path) -> None:
    database = open_database(str(published), None)
    assert database.find("8.8.8.8").country == "US"
    assert database.find("193.99.144.80").country == "DE"
    assert database.find("2001:200::1").country != ""
    assert database.find("127.0.0.1").country == ""
