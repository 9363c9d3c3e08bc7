"""Names asked of a real name server."""

from __future__ import annotations

import asyncio
import time

import dns.rcode
import dns.resolver
import pytest

from edgeproxy.config.connections import ResolverConfig
from edgeproxy.origin import names as names_module
from edgeproxy.origin.names import Names, Service, UnresolvedError
from tests.support.name_server import NameServer


@pytest.fixture
async def server():
    async with NameServer() as server:
        yield server


@pytest.fixture
def names(server):
    return Names(ResolverConfig(servers=(server.address,), timeout=0.2))


async def test_both_families_with_their_ttl(server, names):
    server.records = {("app.example", "A"): ["192.0.2.2", "192.0.2.1"], ("app.example", "AAAA"): ["2001:db8::1"]}
    server.ttl = 7
    found = await names.addresses("app.example")
    assert found[:2] == (("192.0.2.1", "192.0.2.2"), ("2001:db8::1",))
    assert 5 < found.ttl <= 7
    assert sorted(server.asked) == [("app.example", "A", "udp"), ("app.example", "AAAA", "udp")]


async def test_one_family(server, names):
    server.records = {("app.example", "A"): ["192.0.2.1"]}
    assert (await names.addresses("app.example"))[:2] == (("192.0.2.1",), ())


async def test_an_answer_is_asked_for_once_while_it_holds(server, names):
    server.records = {("app.example", "A"): ["192.0.2.1"], ("app.example", "AAAA"): ["2001:db8::1"]}
    for _ in range(3):
        await names.addresses("app.example")
    assert len(server.asked) == 2
    server.records["other.example", "A"] = ["192.0.2.1"]
    server.ttl = 0
    for _ in range(2):
        await names.addresses("other.example")
    assert sum(name == "other.example" and kind == "A" for name, kind, _ in server.asked) == 2


async def test_a_family_that_is_not_answered_for_is_not_known_rather_than_empty(server, names):
    server.records = {("app.example", "A"): ["192.0.2.1"], ("app.example", "AAAA"): ["2001:db8::1"]}
    server.silent = {"AAAA"}
    assert (await names.addresses("app.example"))[:2] == (("192.0.2.1",), None)


async def test_an_alias_is_followed(server, names):
    server.records = {("app.example", "CNAME"): ["real.example."], ("real.example", "A"): ["192.0.2.1"]}
    assert (await names.addresses("app.example")).ipv4 == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("rcode", "silent", "expected"),
    [
        (None, set(), "there is no such name"),
        (None, {"A", "AAAA"}, "no name server answered in time"),
        (dns.rcode.SERVFAIL, set(), "All nameservers failed"),
        (dns.rcode.REFUSED, set(), "All nameservers failed"),
    ],
)
async def test_a_name_without_an_answer_says_why_and_in_time(server, names, rcode, silent, expected):
    server.rcode, server.silent = rcode, silent
    began = time.monotonic()
    with pytest.raises(UnresolvedError, match=expected):
        await names.addresses("app.example")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example", ".", "x" * 300, "ü" * 80, "\\300.example"])
async def test_no_name_raises_anything_else(names, name):
    with pytest.raises(UnresolvedError):
        await names.addresses(name)
    with pytest.raises(UnresolvedError):
        await names.services(name)


async def test_an_answer_too_long_for_udp_comes_over_tcp(server, names):
    server.records = {("app.example", "A"): [f"192.0.2.{i}" for i in range(1, 60)]}
    server.truncated = True
    assert len((await names.addresses("app.example")).ipv4) == 59
    assert ("app.example", "A", "tcp") in server.asked


async def test_services_by_priority_and_weight(server, names):
    server.records = {
        ("_http._tcp.site.example", "SRV"): [
            "20 1 80 last.example.",
            "10 5 8080 light.example.",
            "10 60 8081 heavy.example.",
            "10 60 0 portless.example.",
        ]
    }
    services, ttl = await names.services("_http._tcp.site.example")
    assert services == (
        Service(10, 60, "heavy.example.", 8081),
        Service(10, 5, "light.example.", 8080),
        Service(20, 1, "last.example.", 80),
    )
    assert 298 < ttl <= 300


async def test_a_service_that_is_decidedly_not_there(server, names):
    server.records = {("_http._tcp.site.example", "SRV"): ["0 0 0 ."]}
    with pytest.raises(UnresolvedError, match="there is no such service"):
        await names.services("_http._tcp.site.example")


async def test_without_servers_the_system_is_asked_its_files_first():
    found = await Names(ResolverConfig()).addresses("localhost")
    assert "127.0.0.1" in (found.ipv4 or ())


async def test_many_questions_are_asked_a_few_at_once(server, names):
    server.records = {(f"n{i}.example", "A"): [f"192.0.2.{i}"] for i in range(100)}
    found = await asyncio.gather(*(names.addresses(f"n{i}.example") for i in range(100)))
    assert [each.ipv4 for each in found] == [(f"192.0.2.{i}",) for i in range(100)]


@pytest.fixture
def system(server, tmp_path, monkeypatch):
    """The system's two files, which tell of the test's name server; to write to."""
    files = tmp_path / "hosts", tmp_path / "resolv.conf"
    files[1].write_text("nameserver 127.0.0.1\nsearch one.example two.example\n")
    monkeypatch.setattr(names_module, "HOSTS", str(files[0]))
    monkeypatch.setattr(names_module, "SERVERS", str(files[1]))
    reset = dns.resolver.BaseResolver.reset

    def reset_to_its_port(self):
        reset(self)
        self.port = server.port  # the file cannot tell one

    monkeypatch.setattr(dns.resolver.BaseResolver, "reset", reset_to_its_port)
    return files


async def test_the_hosts_file_comes_before_dns(server, system):
    server.records = {("app.one.example", "A"): ["192.0.2.1"]}
    names = Names(ResolverConfig())
    assert (await names.addresses("app"))[:2] == (("192.0.2.1",), ())
    system[0].write_text("192.0.2.2 app\n2001:db8::2 app\n")
    assert await names.addresses("app") == (("192.0.2.2",), ("2001:db8::2",), float("inf"))


async def test_search_domains_are_tried_in_order(server, system):
    server.records = {("app.two.example", "A"): ["192.0.2.1"]}
    assert (await Names(ResolverConfig()).addresses("app")).ipv4 == ("192.0.2.1",)
    assert [name for name, kind, _ in server.asked if kind == "A"] == ["app.one.example", "app.two.example"]


async def test_what_dns_does_not_know_the_system_may(server, system):
    assert "127.0.0.1" in (await Names(ResolverConfig()).addresses("localhost")).ipv4
    with pytest.raises(UnresolvedError):
        await Names(ResolverConfig(timeout=0.5)).addresses("nobody.invalid")


async def test_name_servers_that_change_are_asked(server, system):
    server.records = {("app.one.example", "A"): ["192.0.2.1"], ("other.three.example", "A"): ["192.0.2.3"]}
    names = Names(ResolverConfig())
    await names.addresses("app")
    system[1].write_text("nameserver 127.0.0.1\nsearch three.example\n")
    assert (await names.addresses("other")).ipv4 == ("192.0.2.3",)
    system[1].unlink()
    with pytest.raises(UnresolvedError):
        await names.addresses("another")


async def test_name_servers_that_are_told_are_asked_alone(server, system):
    system[0].write_text("192.0.2.2 app\n")
    with pytest.raises(UnresolvedError, match="there is no such name"):
        await Names(ResolverConfig(servers=(server.address,))).addresses("app")
