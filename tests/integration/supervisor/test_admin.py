import http.client
import json
import os

import pytest
import yaml

from edgeproxy.supervisor import admin
from tests.support.client import ask
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request


@pytest.fixture
def edge(whole):
    """A proxy of the test's own, to be changed as it likes."""
    with EdgeProcess(whole(workers=2)) as edge:
        yield edge


@pytest.fixture(scope="module")
def shared():
    """A proxy that is asked and not changed."""
    with Site() as site, EdgeProcess(config(site.url, workers=2, admin={"hosts": ["Edge-1.example.net"]})) as edge:
        yield edge


@pytest.fixture(scope="module")
def guarded():
    """A proxy whose admin listener has a token."""
    with Site() as site, EdgeProcess(config(site.url, admin={"token": TOKEN}, log={"access": False})) as edge:
        yield edge


def statuses(edge, *hosts):
    """What a GET of /config with each of these Host fields is answered."""
    out = []
    for host in hosts:
        connection = http.client.HTTPConnection("127.0.0.1", edge.admin_port, timeout=5)
        connection.putrequest("GET", "/config", skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == 200 or json.loads(body)["error"]
        out.append(response.status)
    return out


def test_health_and_readiness(shared):
    health = {"status": "ready", "workers": {"configured": 2, "ready": 2}}
    for path in ("/healthz", "/readyz"):
        status, body = shared.admin(path)
        assert (status, json.loads(body)) == (200, health)


def test_metrics_are_prometheus_text(shared):
    connection = http.client.HTTPConnection("127.0.0.1", shared.admin_port, timeout=5)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE edgeproxy_requests_total counter" in text
    assert 'edgeproxy_workers{state="ready"} 2.0' in text
    assert text.count("# TYPE edgeproxy_requests_total ") == 1


def test_the_running_configuration_is_shown_without_secrets(whole):
    secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
    settings = whole(
        middleware={"jwt": {"secret": "${EDGE_TEST_SECRET}"}, "headers": {"request": {"set": {"x-api-key": secret}}}}
    )
    with EdgeProcess(settings, environment=os.environ | {"EDGE_TEST_SECRET": secret}) as edge:
        text = edge.admin("/config")[1].decode()
        address = f"127.0.0.1:{edge.port}"
    assert "hunter2" not in text
    shown = yaml.safe_load(text)
    assert shown["middleware"]["jwt"] == {"secret": "***"}
    assert shown["listeners"][0]["address"] == address
    assert shown["drain"] == {"grace": "30s", "delay": "0s"}


def test_pools_show_each_workers_view(edge, site):
    workers = edge.admin_json("/pools")["workers"]
    assert sorted(worker["pid"] for worker in workers) == sorted(edge.worker_pids())
    for worker in workers:
        (endpoint,) = worker["pools"]["site"]
        assert endpoint["address"] == site.url.removeprefix("http://")
        assert endpoint["healthy"] is True


def test_a_purge_reaches_all_workers(edge, site, storable, post, metric, until):
    site.on(b"/kept?x=1", storable)

    def stored():
        ask(edge.address, request(b"/kept?x=1", b"Connection: close"))
        return metric(edge, "edgeproxy_cache_entries") == 2

    until(stored, "both workers hold the answer")
    before = len(site.to(b"/kept?x=1"))
    assert post(edge, "/purge", {"url": "http://a.example/kept?x=1"}) == (200, {"purged": 2})
    assert metric(edge, "edgeproxy_cache_entries") == 0
    until(stored, "both workers hold it again")
    assert len(site.to(b"/kept?x=1")) >= before + 2
    assert post(edge, "/purge", {"url": "http://a.example/never"}) == (200, {"purged": 0})


@pytest.mark.parametrize("soft", [False, True])
def test_many_purges_of_all_kinds_at_once(whole, site, post, soft):
    for number in range(5):
        fields = b"Cache-Control: max-age=600, stale-while-revalidate=60", b"Cache-Tag: n%d, even" % number
        site.on(b"/%d" % number, answer(200, b"kept", *fields))
    everything = [request(b"/%d" % number, b"Connection: close") for number in range(5)]
    purges = [{"url": "http://a.example/0"}, {"tag": "n1"}, {"prefix": "http://a.example/2"}]
    with EdgeProcess(whole()) as edge:
        for one in everything:
            ask(edge.address, one)
        assert post(edge, "/purge", {"purges": [{**one, "soft": soft} for one in purges]}) == (200, {"purged": 3})
        said = [b"; hit" in ask(edge.address, one).final[0].get(b"cache-status") for one in everything]
        assert said == [soft] * 3 + [True] * 2  # stale, and served while it is revalidated
        assert post(edge, "/purge", {"all": True, "soft": soft}) == (200, {"purged": 5})


@pytest.mark.parametrize(
    "body", [{"url": "/relative"}, {"url": 3}, {}, {"url": "http://a/", "more": 1}, b"[1]", b"{", b'"x"', b"\xff"]
)
def test_a_purge_that_names_nothing_is_refused(shared, post, body):
    status, answer = post(shared, "/purge", body)
    assert status == 400
    assert answer["error"]


TOKEN = "a-token-of-the-tests-own"


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xff"])
def test_orders_and_the_configuration_want_the_token(guarded, post, given):
    fields = {} if given is None else {"Authorization": given}
    for path in ("/purge", "/reload"):
        status, answered = post(guarded, path, {"all": True}, **fields)
        assert status == 401
        assert "admin.token" in answered["error"]
    for path in ("/config", "/stats"):
        connection = http.client.HTTPConnection("127.0.0.1", guarded.admin_port, timeout=5)
        connection.request("GET", path, headers=fields)
        response = connection.getresponse()
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, 'Bearer realm="edgeproxy"')
        connection.close()


def test_the_token_opens_and_is_never_shown(guarded, post):
    assert post(guarded, "/purge", {"all": True}, Authorization=f"bearer {TOKEN}") == (200, {"purged": 0})
    connection = http.client.HTTPConnection("127.0.0.1", guarded.admin_port, timeout=5)
    connection.request("GET", "/config", headers={"Authorization": f"Bearer {TOKEN}"})
    shown = connection.getresponse().read().decode()
    connection.close()
    assert yaml.safe_load(shown)["admin"]["token"] == "***"
    assert TOKEN not in shown + guarded.logs()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/pools"])
def test_who_only_looks_needs_no_token(guarded, path):
    assert guarded.admin(path)[0] == 200


def test_a_token_file_is_read_anew_and_a_broken_one_opens_nothing(whole, post, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    with EdgeProcess(whole(admin={"token_file": str(file)})) as edge:
        assert post(edge, "/purge", {"all": True}, Authorization=f"Bearer {TOKEN}")[0] == 200
        file.write_text("another-token-of-the-tests-own\n")
        assert post(edge, "/purge", {"all": True}, Authorization=f"Bearer {TOKEN}")[0] == 401
        assert post(edge, "/purge", {"all": True}, Authorization="Bearer another-token-of-the-tests-own")[0] == 200
        file.unlink()
        assert post(edge, "/purge", {"all": True}, Authorization=f"Bearer {TOKEN}")[0] == 503


def test_without_a_token_only_this_machine_gives_orders():
    assert [admin._is_local(peer) for peer in ("", ("127.0.0.9", 1), ("::1", 1, 0, 0), ("::ffff:127.0.0.1", 1, 0, 0))]
    assert not any(admin._is_local(peer) for peer in (("192.0.2.1", 1), ("2001:db8::1", 1, 0, 0)))


def test_reload_by_post_says_what_is_wrong(edge, whole, post, get):
    assert post(edge, "/reload") == (200, {"reloaded": True, "errors": []})
    edge.file.write_text("nonsense: 1\n")
    status, answer = post(edge, "/reload")
    assert status == 422
    assert answer["reloaded"] is False
    assert any(f"{edge.file}:1:1: nonsense" in error for error in answer["errors"])
    assert get(edge) == b"ok"


def test_errors_are_json(shared):
    for path, method, status in (("/nothing", "GET", 404), ("/purge", "GET", 405), ("/healthz", "DELETE", 405)):
        got, body = shared.admin(path, method)
        assert got == status
        assert json.loads(body)["error"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:9900", 200),
        ("[::1]:9900", 200),
        ("rebound.evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:9900", 421),
        ("a@evil.example", 421),
        (".", 421),
        ("edge-1.example.net:9900", 200),
        ("EDGE-1.example.net.", 200),
        ("x.edge-1.example.net", 421),
        ("edge-1.example.net.evil.example", 421),
    ],
)
def test_names_a_rebound_dns_entry_could_carry_are_refused(shared, host, status):
    assert statuses(shared, host) == [status]


def test_a_reload_changes_the_names_it_is_asked_by(edge, whole, post):
    name = "edge-2.example.net"
    assert statuses(edge, name) == [421]
    edge.write(whole(workers=2, admin={"hosts": [name]}))
    assert post(edge, "/reload")[0] == 200
    assert statuses(edge, name, "localhost", "edge-3.example.net") == [200, 200, 421]


@pytest.mark.parametrize("path", ["/purge", "/reload"])
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_page_of_another_site_can_post_is_refused(shared, post, path, content_type):
    assert post(shared, path, {"url": "http://a/"}, Content_Type=content_type)[0] == 415


def test_a_body_that_is_too_large_is_refused(shared, post):
    assert post(shared, "/purge", {"url": "http://a/" + "x" * 100_000})[0] == 413


def test_a_proxy_without_an_admin_listener_runs(whole):
    edge = EdgeProcess(whole(admin=False))
    edge._ready = lambda: "listening on" in edge.logs()
    with edge:
        assert ask(edge.address, request(b"/", b"Connection: close")).final[0].status == 200
        assert "admin on" not in edge.logs()
