"""Three regions of real origins behind the real proxy, and clients in three places."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import pytest

from edgeproxy.balance.ask import Ask
from edgeproxy.pipeline.exchange import Place
from tests.support.mmdb import country, mmdb
from tests.support.origin import RecordedRequest, RecordingOrigin, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess, NginxServer

REGIONS = {"asia": [35.7, 139.7], "eu": [50.1, 8.7], "us": [39.0, -77.5]}
PLACES = {
    "127.0.0.2": country("DE"),
    "127.0.0.3": country("US"),
    # Most people of the country live near the European region, those of Vladivostok do not.
    "127.0.0.4": country("RU") | {"location": {"latitude": 43.1, "longitude": 131.9}},
}
NEAREST = {"127.0.0.2": "eu", "127.0.0.3": "us", "127.0.0.4": "asia"}
NOBODY_KNOWS = "127.0.0.5"
GERMANY = "127.0.0.2"


@dataclass
class Answer:
    """What one request got: ``region`` is the body, ``began`` and ``ended`` monotonic seconds."""

    status: int
    region: str
    began: float
    ended: float


class Client:
    """Asks one request after the other, from an address."""

    def __init__(self, port: int, source: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(source, 0))

    def ask(self) -> Answer:
        began = time.monotonic()
        self._connection.request("GET", "/")
        response = self._connection.getresponse()
        return Answer(response.status, response.read().decode(), began, time.monotonic())

    def close(self) -> None:
        self._connection.close()


class Load:
    """Clients everywhere that ask without a pause until told to stop; ``answers`` are theirs by address."""

    def __init__(self, port: int) -> None:
        self.answers: dict[str, list[Answer]] = {source: [] for source in NEAREST}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(port, source)) for source in NEAREST]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def _run(self, port: int, source: str) -> None:
        with contextlib.closing(Client(port, source)) as client:
            while not self._stop.wait(0.005):
                self.answers[source].append(client.ask())


def served(name: str) -> NginxServer:
    """An origin that answers the name of its region, and that nothing is to be kept."""
    return NginxServer(
        "server { listen {port}; keepalive_requests 100000; location / "
        f"{{ add_header Cache-Control no-store; return 200 '{name}'; }} }}"
    )


def slow(name: str, seconds: float) -> RecordingOrigin:
    """The same, after so long."""

    def answered(request: RecordedRequest) -> bytes:
        time.sleep(seconds)
        return answer(200, name.encode(), b"Cache-Control: no-store")

    return RecordingOrigin(answered)


@pytest.fixture
def origins() -> Iterator[dict[str, NginxServer]]:
    with contextlib.ExitStack() as running:
        yield {name: running.enter_context(served(name)) for name in REGIONS}


def configuration(origins: Mapping[str, NginxServer | RecordingOrigin], **pool: Any) -> dict[str, Any]:
    return {
        "workers": 1,
        "middleware": {"geo": {"files": ["places.mmdb"]}, "cache": False},
        "pools": {
            "site": {
                "endpoints": [{"url": origin.url, "region": name} for name, origin in origins.items()],
                "regions": {name: {"at": at} for name, at in REGIONS.items()},
                **pool,
            }
        },
        "routes": [{"name": "all", "pool": "site"}],
    }


@contextlib.contextmanager
def edge(config: dict[str, Any]) -> Iterator[EdgeProcess]:
    proxy = EdgeProcess(config)
    (proxy.folder / "places.mmdb").write_bytes(mmdb({f"{address}/32": record for address, record in PLACES.items()}))
    with proxy:
        yield proxy


def regions_of(proxy: EdgeProcess, source: str) -> set[str]:
    """The regions that answer ten requests from an address."""
    with contextlib.closing(Client(proxy.port, source)) as client:
        answers = [client.ask() for _ in range(10)]
    assert {each.status for each in answers} == {200}
    return {each.region for each in answers}


def test_every_client_is_served_from_the_nearest_region(origins: dict[str, NginxServer]) -> None:
    with edge(configuration(origins, prefer="distance")) as proxy:
        for source, region in NEAREST.items():
            assert regions_of(proxy, source) == {region}
        assert regions_of(proxy, NOBODY_KNOWS) == {"asia"}  # the first in the file
        (worker,) = proxy.admin_json("/pools")["workers"]
        told = {(each["region"], each["priority"]) for each in worker["pools"]["site"]}
        assert told == {(name, 0) for name in REGIONS}
        metrics = proxy.admin("/metrics")[1].decode()
        assert all(f'edgeproxy_origin_region_fit{{pool="site",region="{name}"}} 1.0' in metrics for name in REGIONS)


@pytest.mark.slow
def test_a_region_that_is_killed_is_left_within_half_a_second_and_taken_again_when_it_is_back(
    origins: dict[str, NginxServer],
) -> None:
    settings = configuration(origins, prefer="distance", health={"interval": "200ms"}, slow_start="500ms")
    with edge(settings) as proxy, Load(proxy.port) as load:
        here = load.answers[GERMANY]
        wait_until(lambda: all(len(answers) > 50 for answers in load.answers.values()), "the load runs")
        origins["eu"].kill()
        killed = time.monotonic()
        wait_until(lambda: here[-1].began > killed + 1, "a second of load without the region")
        assert here[-1].region == "us"
        assert next(each.ended for each in here if each.region == "us") - killed < 0.5

        origins["eu"].__enter__()
        wait_until(lambda: {each.region for each in here[-50:]} == {"eu"}, "the region is taken again", 15)
    for source, answers in load.answers.items():
        assert {each.status for each in answers} == {200}
        assert max(each.ended - each.began for each in answers) < 0.5
        if source != GERMANY:
            assert {each.region for each in answers} == {NEAREST[source]}


@pytest.mark.slow
def test_the_fastest_region_is_found_by_checks_before_anybody_is_sent_there() -> None:
    delays = {"asia": 0.0, "eu": 0.3, "us": 0.0}
    with contextlib.ExitStack() as running:
        origins = {name: running.enter_context(slow(name, seconds)) for name, seconds in delays.items()}
        settings = configuration(origins, prefer={"by": "latency", "threshold": "100ms"}, health={"interval": "200ms"})
        proxy = running.enter_context(edge(settings))
        wait_until(lambda: regions_of(proxy, GERMANY) == {"us"}, "the slow region is left")
        assert regions_of(proxy, "127.0.0.4") == {"asia"}
        assert 'edgeproxy_origin_region_seconds{pool="site",region="eu"} 0.3' in proxy.admin("/metrics")[1].decode()


# Inside a pool.

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TWO_REGIONS = {"regions": {"eu": {"at": REGIONS["eu"]}, "us": {"at": REGIONS["us"]}}, "prefer": "distance"}


async def well(wire):
    while True:
        await wire.request()
        await wire.answer(OK)


async def gone(wire):
    await wire.request()
    wire.reset()


async def test_another_try_is_made_in_the_same_region_and_then_in_the_next(serve, make_pool, exchange):
    bad, good, far = await serve(gone), await serve(well), await serve(well)
    for endpoints, expected in (((bad, good), good), ((bad,), far)):
        # By weight it is the bad one's turn again and again.
        entries = [{"url": each.url, "region": "eu", "weight": 100 if each is bad else 1} for each in endpoints]
        pool = await make_pool({"url": far.url, "region": "us"}, *entries, **TWO_REGIONS)
        for _ in range(3):
            x = exchange()
            x.place = Place("DE")
            assert (await pool.fetch(x)).status == 200
            assert x.endpoint == expected.url.removeprefix("http://")


def nowhere(count: int, region: str) -> list[dict[str, str]]:
    """Endpoints that nobody is behind and nobody asks."""
    return [{"url": f"http://127.0.0.1:{number}", "region": region} for number in range(1, 1 + count)]


async def test_an_endpoint_is_slow_beside_those_of_its_region_and_not_beside_others(make_pool):
    endpoints = [*nowhere(6, "eu"), *({**each, "url": each["url"] + "0"} for each in nowhere(3, "us"))]
    pool = await make_pool(*endpoints, outlier={"slow": {"lasting": 1}}, **TWO_REGIONS)
    members = pool._members
    slow = members.endpoints[0]
    for second in range(1, 6):
        for endpoint in members.endpoints:
            seconds = 0.3 if endpoint is slow or endpoint.region == "us" else 0.01
            members.standing.took(endpoint, seconds, float(second))
    assert [endpoint.state for endpoint in members.endpoints] == ["ejected", *["in"] * 8]


async def test_an_endpoint_on_trial_waits_a_while_for_a_client_of_its_region(make_pool):
    pool = await make_pool(*nowhere(1, "us"), **TWO_REGIONS)
    endpoint, standing = pool._members.endpoints[0], pool._members.standing
    standing._try_again(endpoint)
    soon, later = endpoint.since + 1, endpoint.since + 6
    near, far = ("us", "eu"), ("eu", "us")
    assert standing.on_trial(Ask(soon, regions=far), safe=True) is None
    assert standing.on_trial(Ask(soon, regions=near), safe=False) is None
    assert standing.on_trial(Ask(soon, regions=near), safe=True) is endpoint
    assert standing.on_trial(Ask(soon), safe=True) is endpoint
    assert standing.on_trial(Ask(later, regions=far), safe=False) is endpoint
