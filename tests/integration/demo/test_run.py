"""`edgeproxy demo`: everything starts, says where it is, and ends cleanly."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.support.fetching import fetch, wire_session
from tests.support.ports import accepts, free_port

COMMAND = Path(sys.executable).with_name("edgeproxy")
SHIPPED = Path(__file__).parents[3] / "config" / "edgeproxy.yaml"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The shipped configuration on free ports."""
    settings = yaml.safe_load(SHIPPED.read_text())
    settings["listeners"] = [{"address": f"127.0.0.1:{free_port()}"}]
    settings["admin"] = {"address": f"127.0.0.1:{free_port()}"}
    file = tmp_path / "edgeproxy.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


@pytest.fixture
def demo(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(config)
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def start(config: Path, environment: Mapping[str, str] = os.environ) -> subprocess.Popen[str]:
    command = [str(COMMAND), "demo", "--port", str(free_port()), "-c", str(config)]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(environment),
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if words in line:
            return text
    pytest.fail(
        f"ended with {process.wait()} before saying {words!r}:\n{text}\n{process.stderr and process.stderr.read()}"
    )


def commands(text: str) -> list[str]:
    return re.findall(r"^  (curl .*|\S+ explain .*)$", text, re.MULTILINE)


async def test_it_prints_addresses_that_answer_and_a_token_that_opens(demo: subprocess.Popen[str]) -> None:
    text = read_until(demo, "Ctrl-C")
    site, origin, metrics = re.findall(r"^  [a-z, ]+ (http://\S+)$", text, re.MULTILINE)[:3]
    token = re.search(r"^  (\S+\.\S+\.\S+)$", text, re.MULTILINE)
    assert token is not None
    assert len(commands(text)) == 3
    async with wire_session() as session:
        for address in (site, origin, metrics):
            assert (await fetch(session, address)).status == 200
        members = await fetch(session, f"{site}members/", authorization=f"Bearer {token[1]}")
    assert members.status == 200


@pytest.mark.parametrize("by_name", [True, False])
def test_its_commands_can_be_typed_as_they_stand(config: Path, by_name: bool) -> None:
    """Where an activated environment has the name on the PATH, and where nothing has, as in a fresh clone."""
    path = os.environ["PATH"].split(os.pathsep)
    rest = [folder for folder in path if not (Path(folder) / "edgeproxy").exists()]
    environment = os.environ | {"PATH": os.pathsep.join([str(COMMAND.parent), *rest] if by_name else rest)}
    process = start(config, environment)
    try:
        command = commands(read_until(process, "Ctrl-C"))[2]
        assert command.startswith("edgeproxy explain" if by_name else f"{COMMAND} explain")
        typed = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert "/members" in typed.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_cleanly(demo: subprocess.Popen[str], number: signal.Signals) -> None:
    text = read_until(demo, "Ctrl-C")
    ports = [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)/", text)]
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=30)
    assert demo.returncode == 0, errors
    assert "Traceback" not in errors
    assert not any(accepts(port) for port in ports)


def test_a_taken_port_is_named_with_what_to_do(config: Path) -> None:
    address = yaml.safe_load(config.read_text())["listeners"][0]["address"]
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        process = start(config)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"{address} is in use" in errors
    assert "EDGEPROXY_LISTEN=" in errors
    assert "Traceback" not in errors
