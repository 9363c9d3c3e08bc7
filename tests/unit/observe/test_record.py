import asyncio

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.observe import record
from edgeproxy.observe.metrics import Metrics, render
from edgeproxy.observe.record import BATCH, Observer, cache_label


@pytest.fixture
def metrics():
    return Metrics()


def test_ending_sets_the_time_of_the_end(metrics, exchange):
    clock = ManualClock(100.0)
    x = exchange()
    clock.advance(2)
    Observer(metrics, clock).log(x)
    assert x.ended == 102.0


def test_a_batch_becomes_metrics(metrics, exchange):
    clock = ManualClock(100.0)
    observer = Observer(metrics, clock)
    clock.advance(0.3)
    observer.log(exchange(verdict=b"hit", sent=10))
    observer.log(exchange(verdict=b"fwd=uri-miss; stored", sent=5, method=b"PROPFIND", status=502, error="dns"))
    observer.flush()
    lines = render(metrics.dump()).decode().splitlines()
    assert 'edgeproxy_requests_total{cache="hit",method="GET",route="site",status="2xx"} 1.0' in lines
    assert 'edgeproxy_requests_total{cache="uri-miss",method="_other",route="site",status="5xx"} 1.0' in lines
    assert 'edgeproxy_response_body_bytes_total{route="site"} 15.0' in lines
    assert 'edgeproxy_errors_total{kind="dns"} 1.0' in lines
    assert 'edgeproxy_request_duration_seconds_bucket{cache="hit",le="0.25",route="site"} 0.0' in lines
    assert 'edgeproxy_request_duration_seconds_bucket{cache="hit",le="0.5",route="site"} 1.0' in lines


def test_an_exchange_without_an_answer_is_counted(metrics, exchange):
    observer = Observer(metrics, ManualClock())
    observer.log(exchange(status=None, error="client_gone"))
    observer.flush()
    assert 'status="none"' in render(metrics.dump()).decode()


def test_a_full_batch_is_written_at_once_and_only_once(metrics, exchange):
    batches = []
    observer = Observer(metrics, ManualClock(), lambda records, offset: batches.append(len(records)))
    for _ in range(BATCH + 1):
        observer.log(exchange())
    assert batches == [BATCH]
    observer.flush()
    observer.flush()
    assert batches == [BATCH, 1]


def test_a_record_keeps_neither_the_answer_nor_what_was_stored(metrics, exchange):
    observer = Observer(metrics, ManualClock())
    x = exchange()
    observer.log(x)
    assert observer._records == [x]
    assert x.response is None
    assert x.lookup is None
    assert x.status == 200


@pytest.mark.parametrize(
    ("verdict", "label"),
    [
        (b"", "none"),
        (b"hit", "hit"),
        (b"hit; ttl=-3; detail=stale", "hit"),
        (b"fwd=stale; fwd-status=304; stored", "stale"),
        (b"fwd=bypass", "bypass"),
        (b"fwd=invented-by-a-stage", "_other"),
        (b"detail=x", "_other"),
    ],
)
def test_the_cache_label_is_one_of_a_few_words(verdict, label):
    assert cache_label(verdict) == label


def test_start_flushes_in_the_background_and_stop_flushes_the_rest(metrics, exchange):
    batches = []

    async def life():
        observer = Observer(metrics, ManualClock(), lambda records, offset: batches.append(len(records)))
        observer.start()
        observer.log(exchange())
        observer.stop()

    asyncio.run(life())
    assert batches == [1]


async def test_a_turn_without_records_has_waiting_lines_tried_again(metrics, monkeypatch):
    monkeypatch.setattr(record, "INTERVAL", 0.001)
    turned = asyncio.Event()
    observer = Observer(metrics, ManualClock(), lambda records, offset: None if records else turned.set())
    observer.start()
    try:
        async with asyncio.timeout(5):
            await turned.wait()
    finally:
        observer.stop()
