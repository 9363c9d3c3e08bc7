import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.support.client import ask
from tests.support.ports import end_process, free_port
from tests.support.processes import EdgeProcess
from tests.support.site import request

START_LIMIT = 2.0


def run(file):
    """`edgeproxy run` that is expected to end by itself: exit status and what it said."""
    command = [str(Path(sys.executable).with_name("edgeproxy")), "run", "-c", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return ended.returncode, ended.stderr


def waited(*pids):
    """Seconds these processes were ready to run while other processes had the cores (proc(5), schedstat)."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in pids) / 1e9


def test_the_first_request_is_served_within_two_seconds_of_the_start(whole, get):
    began, waited_here = time.monotonic(), waited(os.getpid())
    with EdgeProcess(whole(workers=2)) as edge:
        assert get(edge) == b"ok"
        took = time.monotonic() - began
        # Both workers are waited for, but side by side; what a busy machine took from them is not the proxy's time.
        others = waited(edge.pid) + max(map(waited, edge.worker_pids())) + waited(os.getpid()) - waited_here
        assert took - others < START_LIMIT, (took, others)


def test_the_start_says_where_it_listens(whole, tmp_path):
    listeners = [{"address": f"127.0.0.1:{free_port()}"}, {"address": f"unix:{tmp_path}/s"}]
    with EdgeProcess(whole(listeners=listeners)) as edge:
        logs = edge.logs()
        assert f"listening on http://{listeners[0]['address']}\n" in logs
        assert f"listening on unix:{tmp_path}/s\n" in logs
        assert f"admin on http://127.0.0.1:{edge.admin_port}\n" in logs


def test_port_0_is_one_free_port_for_all_workers(whole):
    with EdgeProcess(whole(workers=2, listeners=[{"address": "127.0.0.1:0"}])) as edge:
        (line,) = [line for line in edge.logs().splitlines() if "listening on" in line]
        port = int(line.rpartition(":")[2])
        assert port != 0
        for _ in range(8):
            assert ask(("127.0.0.1", port), request(b"/", b"Connection: close")).final[0].status == 200


@pytest.mark.parametrize("taken", ["listeners", "admin"])
def test_an_address_in_use_is_said_clearly(whole, tmp_path, taken):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        free = f"127.0.0.1:{free_port()}"
        config = whole(
            listeners=[{"address": address if taken == "listeners" else free}],
            admin={"address": address if taken == "admin" else f"127.0.0.1:{free_port()}"},
        )
        file = tmp_path / "e.yaml"
        file.write_text(yaml.safe_dump(config))
        status, said = run(file)
    assert status == 1
    assert f"cannot listen on {address}: another process listens there" in said
    assert "Traceback" not in said


def test_a_second_proxy_cannot_take_half_of_the_connections(whole, tmp_path):
    with EdgeProcess(whole(workers=2)) as edge:
        file = tmp_path / "e.yaml"
        file.write_text(yaml.safe_dump(whole(listeners=[{"address": f"127.0.0.1:{edge.port}"}], admin=False)))
        status, said = run(file)
    assert status == 1
    assert "another process listens there" in said


def test_a_broken_configuration_is_refused_with_its_place(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text("listeners:\n  - address: 127.0.0.1:0\nrouts: []\n")
    status, said = run(file)
    assert status == 1
    assert f"{file}:3:1: routs: " in said
    assert "Traceback" not in said


def test_what_only_workers_notice_is_refused_at_the_start_too(whole, tmp_path):
    file = tmp_path / "e.yaml"
    log = {"access": {"file": str(tmp_path / "missing" / "log")}}
    listeners = [{"address": f"127.0.0.1:{free_port()}"}]
    file.write_text(yaml.safe_dump(whole(workers=2, listeners=listeners, admin=False, log=log)))
    status, said = run(file)
    assert status == 1
    assert "missing/log" in said
    assert "Traceback" not in said


def test_a_unix_socket_is_private_and_a_stale_one_is_replaced(whole, tmp_path):
    path = tmp_path / "edge.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with EdgeProcess(whole(workers=2, listeners=[{"address": f"unix:{path}"}])) as edge:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        for _ in range(4):
            assert ask(str(path), request(b"/", b"Connection: close")).final[0].body == b"ok"
        assert edge.stop() == 0
        assert not path.exists()


def test_a_file_that_is_no_socket_is_left_alone(whole, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump(whole(listeners=[{"address": f"unix:{path}"}], admin=False)))
    status, said = run(file)
    assert status == 1
    assert "cannot listen on" in said
    assert path.read_text() == "data"


def test_ipv6_is_served(whole):
    address = ("::1", free_port())
    with EdgeProcess(whole(listeners=[{"address": f"[::1]:{address[1]}"}])):
        assert ask(address, request(b"/", b"Connection: close")).final[0].body == b"ok"


def test_ctrl_c_in_a_terminal_drains_although_all_processes_get_it(whole, tmp_path, until):
    config = whole(workers=2, listeners=[{"address": f"127.0.0.1:{free_port()}"}], admin=False)
    file, log = tmp_path / "e.yaml", tmp_path / "log"
    file.write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).with_name("edgeproxy")), "run", "-c", str(file)]
    with log.open("wb") as out, subprocess.Popen(command, stderr=out, start_new_session=True) as process:
        try:
            until(lambda: "listening on" in log.read_text(), "the proxy listens")
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            end_process(process)
    assert "drained" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert "did not drain" not in log.read_text()
