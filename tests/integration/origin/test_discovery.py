"""Names and files that endpoints come from, with a real name server and real files."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from edgeproxy.config.pools import PoolConfig
from edgeproxy.origin import discovery, names
from edgeproxy.origin.connect import Connector
from edgeproxy.origin.discovery import Discovery
from edgeproxy.origin.endpoint import Endpoint
from tests.support.name_server import NameServer


@pytest.fixture
async def server():
    async with NameServer(ttl=1) as server:
        yield server


@pytest.fixture
async def discover(server, monkeypatch):
    """``await discover(endpoint, …, key=value)``: a started discovery; ``gone`` and ``told`` are what it was told."""
    monkeypatch.setattr(discovery, "AGAIN", 0.02)
    monkeypatch.setattr(discovery, "AGAIN_KNOWN", 0.02)
    monkeypatch.setattr(names, "UNKNOWN_TTL", 0)
    started = []

    async def make(*endpoints, **settings):
        settings = {"resolve_every": 1, "resolver": {"servers": server.address, "timeout": 0.1}} | settings
        config = PoolConfig.model_validate({"endpoints": list(endpoints), **settings})
        config = config.model_copy(update={"resolve_every": 0.02})  # less than a person may set
        connector = Connector("site", config)

        def endpoint(entry, value, addresses):
            return Endpoint(entry, value, connector.dialer(value, addresses), config, lambda *_: None)

        gone = []
        found = Discovery("site", config, endpoint, gone.extend)
        found.gone = gone
        started.append(found)
        await found.start()
        return found

    yield make
    for each in started:
        await each.stop()


def addresses(found):
    return [endpoint.address for endpoint in found.endpoints]


async def test_addresses_come_and_go_and_who_stays_is_the_same(server, discover, settle):
    server.ttl = 0
    server.records = {("app.example", "A"): ["192.0.2.1", "192.0.2.2"]}
    found = await discover("http://app.example:8000", "http://192.0.2.9", "unix:/run/app.sock")
    assert addresses(found) == ["192.0.2.1:8000", "192.0.2.2:8000", "192.0.2.9:80", "unix:/run/app.sock"]
    second, fixed = found.endpoints[1:3]
    server.records = {("app.example", "A"): ["192.0.2.3", "192.0.2.2"]}
    await settle(lambda: addresses(found)[:2] == ["192.0.2.2:8000", "192.0.2.3:8000"])
    assert found.endpoints[0] is second
    assert found.endpoints[2] is fixed
    assert [endpoint.address for endpoint in found.gone] == ["192.0.2.1:8000"]


@pytest.mark.parametrize("how", ["vanished", "silent"])
async def test_a_name_without_an_answer_keeps_its_last_and_says_so_once(server, discover, settle, caplog, how):
    caplog.set_level(logging.INFO)
    server.ttl = 0
    records = server.records = {("app.example", "A"): ["192.0.2.1"], ("app.example", "AAAA"): ["2001:db8::1"]}
    found = await discover("http://app.example:8000")
    before = found.endpoints[0]
    if how == "vanished":
        server.records = {}
    else:
        server.silent = {"A", "AAAA"}
    asked = len(server.asked)
    await settle(lambda: len(server.asked) > asked + 6)
    assert found.endpoints == [before]
    server.records, server.silent = records, set()
    await settle(lambda: any("again" in record.getMessage() for record in caplog.records))
    assert found.endpoints == [before]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("pool site: app.example has no address: ")
    assert said[0].endswith("; its last addresses are used")
    assert said[1] == "pool site: app.example has an address again"


async def test_a_name_that_comes_late_joins(server, discover, settle):
    found = await discover("http://app.example:8000")
    assert addresses(found) == []
    server.records = {("app.example", "A"): ["192.0.2.1"]}
    await settle(lambda: addresses(found) == ["192.0.2.1:8000"])


async def test_both_families_of_a_machine_are_one_endpoint(server, discover, settle):
    server.ttl = 0
    server.records = {("app.example", "A"): ["192.0.2.1"], ("app.example", "AAAA"): ["2001:db8::1"]}
    found = await discover("http://app.example:8000")
    assert addresses(found) == ["192.0.2.1:8000"]
    assert found.endpoints[0].dialer.addresses == ("192.0.2.1", "2001:db8::1")
    server.records["app.example", "AAAA"] = ["2001:db8::2"]
    await settle(lambda: found.endpoints[0].dialer.addresses == ("192.0.2.1", "2001:db8::2"))
    assert found.gone == []


async def test_the_ttl_says_when_to_ask_again(server, discover):
    server.ttl = 300
    server.records = {("app.example", "A"): ["192.0.2.1"], ("other.example", "A"): ["192.0.2.1"]}
    found = await discover("http://app.example:8000")
    found._config = found._config.model_copy(update={"resolve_every": 3600})
    group = found._groups[0]
    assert 298 < await found._look(group) <= 300
    found._config = found._config.model_copy(update={"resolve_every": 30})
    assert await found._look(group) == 30


async def test_a_service_has_priorities_weights_and_ports_of_its_own(server, discover, settle):
    server.ttl = 0
    server.records = {
        ("_http._tcp.site.example", "SRV"): ["20 0 82 c.example.", "10 3 81 b.example.", "10 60 80 a.example."],
        ("a.example", "A"): ["192.0.2.1", "192.0.2.2"],
        ("b.example", "A"): ["192.0.2.1"],
        ("c.example", "AAAA"): ["2001:db8::1"],
    }
    found = await discover({"url": "srv+http://_http._tcp.site.example", "weight": 2, "priority": 1})
    assert [(each.address, each.weight, each.priority, each.authority) for each in found.endpoints] == [
        ("192.0.2.1:80", 120, 1, b"site.example"),
        ("192.0.2.2:80", 120, 1, b"site.example"),
        ("192.0.2.1:81", 6, 1, b"site.example"),
        ("[2001:db8::1]:82", 2, 2, b"site.example"),
    ]
    first = found.endpoints[0]
    server.records["_http._tcp.site.example", "SRV"] = ["5 1 80 a.example.", "5 1 81 gone.example."]
    await settle(lambda: [each.weight for each in found.endpoints] == [2, 2])
    assert found.endpoints[0] is first  # with another weight
    del server.records["a.example", "A"]
    asked = len(server.asked)
    await settle(lambda: len(server.asked) > asked + 12)
    assert addresses(found) == ["192.0.2.1:80", "192.0.2.2:80"]


async def test_a_file_brings_endpoints_and_takes_them_away(discover, settle, tmp_path, quick):
    file = tmp_path / "endpoints.yaml"
    file.write_text("- http://192.0.2.1\n- {url: http://192.0.2.2:8000, weight: 5}\n")
    found = await discover("http://192.0.2.9", endpoints_file=str(file))
    assert addresses(found) == ["192.0.2.9:80", "192.0.2.1:80", "192.0.2.2:8000"]
    fixed, first, second = found.endpoints
    file.write_text("- {url: http://192.0.2.2:8000, weight: 9, drain: on}\n- http://192.0.2.3\n")
    await settle(lambda: addresses(found) == ["192.0.2.9:80", "192.0.2.2:8000", "192.0.2.3:80"])
    assert found.endpoints[:2] == [fixed, second]
    assert (second.weight, second.entry.drain) == (9, True)
    assert found.gone == [first]


async def test_names_in_a_file_are_resolved(server, discover, settle, tmp_path, quick):
    server.records = {("app.example", "A"): ["192.0.2.1"]}
    file = tmp_path / "endpoints.json"
    file.write_text('["http://192.0.2.9"]')
    found = await discover(endpoints_file=str(file))
    file.write_text('["http://app.example", "http://app.example", "http://192.0.2.9"]')
    await settle(lambda: addresses(found) == ["192.0.2.1:80", "192.0.2.1:80", "192.0.2.9:80"])
    file.write_text('["http://192.0.2.9"]')
    await settle(lambda: addresses(found) == ["192.0.2.9:80"])
    assert [endpoint.address for endpoint in found.gone] == ["192.0.2.1:80", "192.0.2.1:80"]


async def test_a_damaged_file_changes_nothing_and_says_so(discover, settle, tmp_path, quick, caplog):
    file = tmp_path / "endpoints.json"
    file.write_text('["http://192.0.2.1"]')
    found = await discover(endpoints_file=str(file))
    before = found.endpoints
    file.write_text('["http://192.0.2.1", ')
    await settle(lambda: len(caplog.records) == 1)
    assert "not valid JSON" in caplog.text
    assert "the endpoints stay as they were" in caplog.text
    file.unlink()
    assert found.endpoints == before
    file.write_text('["http://192.0.2.2"]')
    await settle(lambda: addresses(found) == ["192.0.2.2:80"])


async def test_a_file_that_cannot_be_used_at_first_is_refused(discover, tmp_path):
    file = tmp_path / "endpoints.json"
    file.write_text("{}")
    with pytest.raises(ValueError, match="holds no list of endpoints"):
        await discover(endpoints_file=str(file))


async def test_a_thousand_endpoints_are_told_of_once(discover, settle, tmp_path, quick):
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps([f"http://10.0.{i // 250}.{i % 250}" for i in range(1000)]))
    found = await discover(endpoints_file=str(file))
    told = []
    found._changed = told.append
    file.write_text(json.dumps([f"http://10.1.{i // 250}.{i % 250}" for i in range(1000)]))
    await settle(lambda: bool(told))
    assert [len(gone) for gone in told] == [1000]
    assert len(found.endpoints) == 1000


async def test_an_answer_under_way_outlives_its_endpoint(serve, make_pool, exchange, read, settle, tmp_path, quick):
    gate = asyncio.Event()

    async def slow(wire):
        await wire.request()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nold")
        await gate.wait()
        await wire.answer(b"old")

    async def other(wire):
        await wire.request()
        await wire.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")

    old, new = await serve(slow), await serve(other)
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps([old.url]))
    pool = await make_pool(endpoints_file=str(file))
    response = await pool.fetch(exchange())
    file.write_text(json.dumps([new.url]))
    await settle(lambda: ["http://" + entry["address"] for entry in pool.state()] == [new.url])
    assert (await pool.fetch(exchange())).body == b"new"
    gate.set()
    assert await read(response) == b"oldold"
    await settle(lambda: old.closed == 1)  # and is not kept


async def test_what_names_lead_to_has_a_bound(server, discover, settle, monkeypatch, caplog):
    monkeypatch.setattr(discovery, "MOST_ENDPOINTS", 3)
    server.ttl = 0
    server.records = {("app.example", "A"): ["192.0.2.1", "192.0.2.2"]}
    found = await discover("http://app.example", "http://192.0.2.9")
    assert addresses(found) == ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.9:80"]
    server.records["app.example", "A"] = ["192.0.2.2", "192.0.2.3", "192.0.2.4"]
    await settle(lambda: addresses(found) == ["192.0.2.2:80", "192.0.2.3:80", "192.0.2.9:80"])
    assert [endpoint.address for endpoint in found.gone] == ["192.0.2.1:80"]
    server.records["app.example", "A"] = ["192.0.2.4"]
    await settle(lambda: addresses(found) == ["192.0.2.4:80", "192.0.2.9:80"])
    said = [record.getMessage() for record in caplog.records]
    assert said == ["pool site: more than 3 addresses; the others are not used"]
