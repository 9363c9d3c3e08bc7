import signal

import pytest

from tests.support.client import RawClient, ask
from tests.support.ports import accepts
from tests.support.processes import EdgeProcess
from tests.support.site import request


@pytest.fixture
def edge(whole):
    with EdgeProcess(whole(workers=2, drain={"grace": "1m", "delay": "1s"})) as edge:
        yield edge


def test_sigterm_cuts_no_exchange_and_refuses_nobody_within_the_delay(edge, slow, until):
    client, release = slow(edge)
    edge.process.send_signal(signal.SIGTERM)
    until(lambda: edge.admin("/readyz")[0] == 503, "balancers are told")
    assert edge.admin_json("/readyz")["status"] == "draining"
    assert edge.admin("/healthz")[0] == 200
    for _ in range(10):
        (answer,) = ask(edge.address, request()).final
        assert answer.status == 200
        assert answer.get(b"connection") == b"close"
    until(lambda: not accepts(edge.port), "the listener closes after the delay")
    assert edge.process.poll() is None
    release()
    with client:
        assert client.answers(1).final[0].body == b"firstend"
    assert edge.process.wait(10) == 0
    assert "did not drain" not in edge.logs()


def test_a_connection_accepted_before_the_end_is_answered(edge):
    """Connections that wait in the accept queues when the listener closes are served, not reset."""
    edge.process.send_signal(signal.SIGTERM)
    answered = 0
    while True:
        try:
            client = RawClient(edge.address)
        except ConnectionRefusedError:
            break
        with client:
            client.send(request())
            answers = client.answers(1).final
            assert answers, f"a connection was cut after {answered} answers"
            assert answers[0].status == 200
            answered += 1
    assert answered > 0
    assert edge.process.wait(10) == 0


def test_what_outlasts_the_grace_is_cut(whole, slow):
    with EdgeProcess(whole(workers=2, drain={"grace": "500ms"})) as edge:
        client, _ = slow(edge)
        edge.process.send_signal(signal.SIGTERM)
        with client:
            client.read_to_close()
            assert client.closed
            assert not client.received.endswith(b"end")
        assert edge.process.wait(10) == 0


def test_a_second_signal_ends_at_once(edge, slow, exists, until):
    client, _ = slow(edge)
    workers = edge.worker_pids()
    edge.process.send_signal(signal.SIGTERM)
    until(lambda: "draining" in edge.logs(), "the drain begins")
    edge.process.send_signal(signal.SIGINT)
    assert edge.process.wait(20) == 130
    assert "drained" not in edge.logs()
    assert not any(map(exists, workers))
    client.__exit__()


def test_a_signal_during_the_start_ends_it(whole):
    edge = EdgeProcess(whole(workers=2))
    edge._ready = lambda: "admin on" in edge.logs() or edge._log.exists()
    with edge:
        edge.process.send_signal(signal.SIGTERM)
        assert edge.process.wait(10) in {0, -signal.SIGTERM}
        assert "Traceback" not in edge.logs()
