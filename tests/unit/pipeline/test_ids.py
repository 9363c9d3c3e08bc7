"""Request ids, where the blocks of them meet."""

from __future__ import annotations

from edgeproxy.http.message import Request
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.ids import RequestIds


def test_ids_count_on_from_block_to_block() -> None:
    ids = RequestIds(b"a" * 20, trust=False)
    made = []
    for _ in range(2 * 16**3 + 2):
        x = Exchange(Request(b"GET", b"/", {}), Peer("192.0.2.1", 1, "", "", None), 0.0)
        ids.stamp(x)
        made.append(x.id)
    assert made[0] == b"a" * 20 + b"0" * 12
    assert [int(id_[20:], 16) for id_ in made] == list(range(len(made)))
