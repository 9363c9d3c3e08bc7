"""CDN-Loop: a request is known again by the node it has passed, and by no other."""

from __future__ import annotations

import pytest

from edgeproxy.http.loops import marked, pseudonym, was_here


def test_names_of_nodes() -> None:
    assert pseudonym("") == b"edgeproxy"
    assert pseudonym("Edge-1.example.net") == b"edgeproxy-edge-1.example.net"


@pytest.mark.parametrize(
    ("field", "here"),
    [
        (None, False),
        (b"", False),
        (b"edgeproxy-b", False),
        (b"edgeproxy", False),
        (b"edgeproxy-ab", False),
        (b'other; note="a, edgeproxy-a"', False),
        (b"edgeproxy-a", True),
        (b'other;x="1, 2",  EdgeProxy-A ;v=1, more', True),
    ],
)
def test_a_request_that_was_here_is_known_again(field: bytes | None, here: bool) -> None:
    assert was_here({} if field is None else {b"cdn-loop": field}, b"edgeproxy-a") is here


def test_what_is_sent_on_names_this_node_too() -> None:
    assert marked({}, b"edgeproxy-a") == b"edgeproxy-a"
    assert marked({b"cdn-loop": b"other"}, b"edgeproxy-a") == b"other, edgeproxy-a"
