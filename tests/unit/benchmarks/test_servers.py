"""What servers say of their cache, their versions, and where their time went."""

import pytest

from tests.benchmarks.peers import parse_version
from tests.benchmarks.profiling import shares
from tests.benchmarks.servers import Edgeproxy, EdgeproxyDisk, Nginx, Varnish


@pytest.mark.parametrize(
    ("kind", "fields", "verdict"),
    [
        (Nginx, {"x-cache-status": "HIT"}, "hit"),
        (Nginx, {"x-cache-status": "EXPIRED"}, "miss"),
        (Nginx, {}, "miss"),
        (Varnish, {"x-varnish": "32770 3"}, "hit"),
        (Varnish, {"x-varnish": "32770"}, "miss"),
        (Edgeproxy, {"cache-status": "edgeproxy; hit; ttl=300"}, "hit"),
        (Edgeproxy, {"cache-status": "edgeproxy;hit"}, "hit"),
        (Edgeproxy, {"cache-status": "edgeproxy; fwd=miss; detail=hit-for-miss"}, "miss"),
        (Edgeproxy, {"cache-status": "hit; fwd=miss"}, "miss"),
        (Edgeproxy, {}, "miss"),
        (EdgeproxyDisk, {"cache-status": "edgeproxy; hit; detail=l2"}, "hit"),
        (EdgeproxyDisk, {"cache-status": "edgeproxy; hit"}, "miss"),
    ],
)
def test_a_servers_verdict_is_read_from_its_own_field(kind, fields, verdict):
    assert kind.verdict(fields) == verdict


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nginx version: nginx/1.22.1\n", "1.22.1"),
        ("varnishd (varnish-7.1.1 revision 7cee1c58)\nCopyright", "7.1.1"),
        ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer", "4.1.0"),
        ("command not found", "unknown"),
    ],
)
def test_versions_are_found_in_the_commands_own_words(text, version):
    assert parse_version(text) == version


def test_samples_are_shared_out_to_frames_and_their_callers():
    own, total, samples = shares(["run;parse 3", "run;serve;parse 1", "run;parse;parse 2", "run 4"])

    assert (own["parse"], total["parse"], own["run"], total["run"], samples) == (6, 6, 4, 10, 10)
