"""Requests that go round in a loop (CDN-Loop, RFC 8586): what a node is called, and what has been here before."""

from __future__ import annotations

from typing import Final

from edgeproxy.http.headers import Headers, members

PSEUDONYM: Final = b"edgeproxy"  # in Via and CDN-Loop; behind it "-" and the node's name, if it has one


def pseudonym(node: str) -> bytes:
    """What a node of this name is called, in lower case; "" is a node without one."""
    return PSEUDONYM + b"-" + node.lower().encode() if node else PSEUDONYM


def was_here(headers: Headers, node: bytes) -> bool:
    """Whether a request carries this node's own id (RFC 8586 §2); another node's does not count."""
    before = headers.get(b"cdn-loop")
    if before is None:
        return False
    return any(member.partition(b";")[0].strip().lower() == node for member in members(before))


def marked(headers: Headers, node: bytes) -> bytes:
    """The value of CDN-Loop to send on."""
    before = headers.get(b"cdn-loop")
    return node if before is None else before + b", " + node
