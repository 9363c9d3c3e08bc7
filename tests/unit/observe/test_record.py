import asyncio

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import FieldBlock, Response
from edgeproxy.observe import record
from edgeproxy.observe.metrics import Metrics, render
from edgeproxy.observe.record import BATCH, BUSY, Observer
from edgeproxy.observe.top import EACH


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


def test_a_batch_is_split_by_where_the_answers_came_from_and_what_they_are(metrics, exchange):
    observer = Observer(metrics, ManualClock())
    kept = FieldBlock({b"content-type": b"text/html; charset=utf-8"})
    for verdict in (b"hit", b"hit", b"hit; detail=l2", b""):
        x = exchange(verdict=verdict, sent=10)
        x.response = Response(200, {b"age": b"1"}, shared=kept)
        observer.log(x)
    x = exchange(verdict=b"fwd=uri-miss", sent=5)
    x.response = Response(200, {b"content-type": b"image/png"})
    observer.log(x)
    observer.flush()
    lines = render(metrics.dump()).decode().splitlines()
    assert [line for line in lines if line.startswith("edgeproxy_cache_answers_total")] == [
        'edgeproxy_cache_answers_total{route="site",tier="l1",type="html"} 2.0',
        'edgeproxy_cache_answers_total{route="site",tier="l2",type="html"} 1.0',
        'edgeproxy_cache_answers_total{route="site",tier="origin",type="image"} 1.0',
    ]
    assert 'edgeproxy_cache_answer_bytes_total{route="site",tier="l1",type="html"} 20.0' in lines


def test_a_batch_counts_what_clients_speak(metrics, exchange):
    observer = Observer(metrics, ManualClock())
    for version in (b"1.1", b"1.0", b"2", b"2", b"3", b"9", b"1.1"):
        x = exchange()
        x.request.version = version
        observer.log(x)
    observer.flush()
    lines = render(metrics.dump()).decode().splitlines()
    assert sorted(line for line in lines if line.startswith("edgeproxy_requests_by_protocol_total")) == [
        'edgeproxy_requests_by_protocol_total{protocol="_other"} 1.0',
        'edgeproxy_requests_by_protocol_total{protocol="http/1.0"} 1.0',
        'edgeproxy_requests_by_protocol_total{protocol="http/1.1"} 2.0',
        'edgeproxy_requests_by_protocol_total{protocol="http/2"} 2.0',
        'edgeproxy_requests_by_protocol_total{protocol="http/3"} 1.0',
    ]


def test_a_batch_counts_its_urls(metrics, exchange):
    observer = Observer(metrics, ManualClock())
    for verdict in (b"hit", b"hit; detail=l2", b"fwd=uri-miss", b""):
        observer.log(exchange(b"/asked?for=1", verdict=verdict, sent=10))
    observer.log(exchange(b"/other", verdict=b"hit"))
    observer.flush()
    _, rows = observer.top.report(lambda url: url)
    assert rows == [("http://example.com/asked?for=1", 4, 2, 40), ("http://example.com/other", 1, 1, 0)]


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


def test_urls_are_counted_one_by_one_until_there_are_many(metrics, exchange):
    observer = Observer(metrics, ManualClock())
    for number in range(BUSY):
        observer.log(exchange(b"/%d" % number))
        if number == BUSY - BATCH - 1:
            assert len(observer.top) == BUSY - BATCH
    assert len(observer.top) == BUSY - BATCH + BATCH // EACH
