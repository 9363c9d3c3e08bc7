import json
import signal

import pytest

from tests.support.client import ask
from tests.support.processes import EdgeProcess
from tests.support.site import request


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def edge(whole, log):
    with EdgeProcess(whole(workers=2, log={"access": {"file": str(log)}})) as edge:
        yield edge


def lines(file):
    return file.read_text().splitlines() if file.exists() else []


def test_every_exchange_of_all_workers_is_one_line(edge, log, until):
    for number in range(30):
        ask(edge.address, request(b"/%d?token=s3cret" % number, b"Connection: close", b'User-Agent: a"b'))
    until(lambda: len(lines(log)) == 30, "all lines are written")
    records = [json.loads(line) for line in lines(log)]
    assert {record["target"] for record in records} == {f"/{number}?token=***" for number in range(30)}
    assert {record["user_agent"] for record in records} == {'a"b'}
    assert {record["status"] for record in records} == {200}


def test_the_parameters_to_mask_are_the_configured_ones_also_after_a_reload(whole, log, until):
    def masking(*names):
        return whole(log={"access": {"file": str(log), "mask": list(names)}})

    with EdgeProcess(masking("Ticket")) as edge:
        ask(edge.address, request(b"/?ticket=1&token=2", b"Connection: close"))
        until(lambda: len(lines(log)) == 1, "the line is written")
        edge.write(masking())
        edge.reload()
        until(lambda: "configuration reloaded" in edge.logs(), "the reload is said")
        ask(edge.address, request(b"/?ticket=1&token=2", b"Connection: close"))
    assert [json.loads(line)["target"] for line in lines(log)] == ["/?ticket=***&token=2", "/?ticket=1&token=2"]


def test_sigusr1_reopens_the_log_in_all_workers(edge, log, until, tmp_path):
    ask(edge.address, request(b"/before", b"Connection: close"))
    until(lambda: len(lines(log)) == 1, "the line is written")
    log.rename(tmp_path / "access.log.1")
    edge.process.send_signal(signal.SIGUSR1)
    until(log.exists, "the file is opened anew")
    for _ in range(30):
        ask(edge.address, request(b"/after", b"Connection: close"))
    until(lambda: len(lines(log)) == 30, "all lines are in the new file")
    assert len(lines(tmp_path / "access.log.1")) == 1


def test_a_reload_moves_the_log_and_changes_its_format(edge, log, whole, until, tmp_path):
    ask(edge.address, request(b"/", b"Connection: close"))
    other = tmp_path / "combined.log"
    edge.write(whole(workers=2, log={"access": {"file": str(other), "format": "combined"}}))
    edge.reload()
    until(lambda: "configuration reloaded" in edge.logs(), "the reload is said")
    for _ in range(10):
        ask(edge.address, request(b"/", b"Connection: close"))
    until(lambda: len(lines(other)) == 10, "the lines are in the other file")
    assert all(line.endswith('"GET / HTTP/1.1" 200 2 "-" "-"') for line in lines(other))
    assert len(lines(log)) == 1


def test_what_was_logged_last_is_written_at_the_end(edge, log):
    ask(edge.address, request(b"/last", b"Connection: close"))
    assert edge.stop() == 0
    assert json.loads(lines(log)[-1])["target"] == "/last"


def test_the_level_of_the_error_log_follows_the_configuration(whole):
    with EdgeProcess(whole(log={"level": "error", "access": False})) as edge:
        assert edge.stop() == 0
        assert edge.logs() == ""
