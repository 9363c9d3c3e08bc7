"""Guarantee 9: a dependency that dies degrades the feature that needs it, says so, and heals without a restart.

Dependencies there are so far: origins (guarantee 3 has more of them), an issuer of keys, the place of the access log,
and the proxy's own workers.

Seen to fail: with ``FreshKeys`` of jose/refresh.py dropping its keys when a fetch fails, or never trying again; with
``Sink._put`` of observe/sink.py letting errors through; with ``Sink._write_pieces`` not asking a blocking descriptor
first; with a supervisor that calls itself down while one worker serves.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.client import RawClient, ask
from tests.support.origin import answer
from tests.support.ports import free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request
from tests.support.tokens import claims, jwk, private_key, token

QUIET: dict[str, Any] = {"log": {"access": False}}


def status(edge: EdgeProcess, target: bytes = b"/", *fields: bytes) -> int:
    (got,) = ask(edge.address, request(target, *fields)).final
    return got.status


# An origin.


def test_an_origin_that_is_away_is_502_at_once_and_served_again_when_it_is_back() -> None:
    port = free_port()
    whole = config(f"http://127.0.0.1:{port}", **QUIET)
    whole["pools"]["site"]["outlier"] = {"failures": 2, "eject_for": "300ms"}
    with EdgeProcess(whole) as edge:
        for _ in range(2):
            began = time.monotonic()
            assert {status(edge) for _ in range(20)} == {502}
            assert time.monotonic() - began < 5
            with Site(port=port):
                wait_until(lambda: status(edge) == 200, "the origin is used again")
                assert {status(edge) for _ in range(20)} == {200}


# An issuer of keys.


def bearer(name: str) -> bytes:
    payload = claims(exp=int(time.time()) + 600)
    signed = token(payload, "ES256", private_key("ES256", name), header={"kid": name})
    return b"Authorization: Bearer " + signed


def issue(issuer: Site, *names: str) -> None:
    keys = json.dumps({"keys": [jwk("ES256", name) for name in names]}).encode()
    issuer.on(b"/keys", answer(200, keys, b"Content-Type: application/json"))


def test_an_issuer_that_is_away_is_missed_only_where_its_keys_are(site: Site, metric: Callable[..., float]) -> None:
    """Away at the start: 503 for what needs a key, nothing for the rest. Later: the last good keys stay."""
    port = free_port()
    jwt = {"jwks_url": f"http://127.0.0.1:{port}/keys", "refresh": "1s", "refresh_min": "1s"}
    whole = config(site.url, **QUIET)
    whole["routes"].append({"name": "guarded", "match": {"path": "/in"}, "pool": "site", "middleware": {"jwt": jwt}})

    def guarded(name: str) -> int:
        return status(edge, b"/in", bearer(name))

    def failed() -> float:
        return metric(edge, "edgeproxy_key_refresh_total", 'outcome="failed"')

    with EdgeProcess(whole) as edge:
        assert guarded("one") == 503
        assert status(edge) == 200
        wait_until(lambda: f"keys: http://127.0.0.1:{port}/keys" in edge.logs(), "it is said")
        with Site(port=port) as issuer:
            issue(issuer, "one")
            wait_until(lambda: guarded("one") == 200, "the keys are here")
            assert guarded("two") == 401
        before = failed()
        wait_until(lambda: failed() > before, "the issuer is missed")
        assert guarded("one") == 200
        assert guarded("two") == 503, "nobody can say now whether it is good"
        wait_until(lambda: "keeping the keys there are" in edge.logs(), "it is said")
        with Site(port=port) as issuer:
            issue(issuer, "two")
            wait_until(lambda: guarded("two") == 200, "the new key is here")
            assert guarded("one") == 401


# The place of the access log.


def logged(lines: bytes) -> list[str]:
    """The targets of whole JSON lines; raises ValueError if one is torn."""
    return [json.loads(line)["target"] for line in lines.splitlines()]


def test_a_full_disk_costs_log_lines_and_nothing_else(site: Site, metric: Callable[..., float], tmp_path: Path) -> None:
    """Every write fails; then the path leads to a sound file, and SIGUSR1 has it opened."""
    path, sound = tmp_path / "access.log", tmp_path / "sound.log"
    path.symlink_to("/dev/full")
    with EdgeProcess(config(site.url, log={"access": {"file": str(path)}})) as edge:
        assert {status(edge, b"/%d" % number) for number in range(50)} == {200}
        wait_until(lambda: "access log" in edge.logs(), "it is said")
        assert edge.logs().count("No space left on device") == 1, "once, not for every line"
        assert edge.admin("/readyz")[0] == 200
        path.unlink()
        path.symlink_to(sound)
        edge.process.send_signal(signal.SIGUSR1)
        wait_until(sound.exists, "the log is opened anew")
        assert status(edge, b"/after") == 200
        wait_until(lambda: b"/after" in sound.read_bytes(), "lines are written again")
        assert logged(sound.read_bytes()) == [*(f"/{number}" for number in range(50)), "/after"]
        wait_until(lambda: "written again" in edge.logs(), "it is said")
        assert metric(edge, "edgeproxy_access_log_dropped_total") == 0


def test_a_log_reader_that_stalls_costs_lines_beyond_a_bound_and_no_time(
    site: Site, metric: Callable[..., float], tmp_path: Path
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    agent = b"User-Agent: " + b"a" * 480
    count = 0
    try:
        with EdgeProcess(config(site.url, log={"access": {"file": str(path)}})) as edge:
            with RawClient(edge.address) as client:
                while not metric(edge, "edgeproxy_access_log_dropped_total"):
                    client.send(request(b"/" + b"x" * 1300, agent) * 20)
                    count += 20
                    assert len(client.answers(count).final) == count
                    assert count < 2000
            began = time.monotonic()
            assert status(edge) == 200
            assert time.monotonic() - began < 1
            assert edge.admin("/readyz")[0] == 200
            read = bytearray()
            ended = threading.Event()

            def drain() -> None:
                while not ended.wait(0.01):
                    try:
                        while chunk := os.read(reader, 65536):
                            read.extend(chunk)
                    except BlockingIOError:
                        continue

            thread = threading.Thread(target=drain)
            thread.start()
            try:
                wait_until(
                    lambda: status(edge, b"/healed") == 200 and metric(edge, "up") == 0 and b'"/healed"' in read,
                    "new lines come through",
                )
            finally:
                ended.set()
                thread.join()
            assert set(logged(bytes(read))) >= {"/healed"}
    finally:
        os.close(reader)


# A worker.


def test_the_admin_listener_answers_while_workers_die_and_come_back(site: Site, metric: Callable[..., float]) -> None:
    with EdgeProcess(config(site.url, workers=2, **QUIET)) as edge:
        os.kill(edge.worker_pids()[0], signal.SIGKILL)
        wait_until(lambda: edge.admin_json("/healthz")["status"] == "degraded", "it is said")
        scrapes = 0
        while edge.admin_json("/healthz")["workers"]["ready"] < 2:
            code, metrics = edge.admin("/metrics")
            assert code == 200
            assert b"\nedgeproxy_workers{" in metrics
            assert metrics.endswith(b"\n")
            assert edge.admin("/pools")[0] == 200
            assert edge.admin("/readyz")[0] == 200, "one worker serves"
            scrapes += 1
        assert scrapes
        for pid in edge.worker_pids():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: edge.admin("/healthz")[0] == 503, "it is said")
        assert edge.admin("/metrics")[0] == 200
        wait_until(lambda: edge.admin_json("/healthz")["workers"]["ready"] == 2, "they are back")
        assert status(edge) == 200
        assert metric(edge, "edgeproxy_worker_restarts_total") == 3
        assert edge.logs().count("SIGKILL") == 3
        assert "Traceback" not in edge.logs()
