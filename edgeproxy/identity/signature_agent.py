"""Who a request says has signed it (the Signature-Agent field of Web Bot Auth), and for how long that holds."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from edgeproxy.http.headers import Headers
from edgeproxy.http.structured import Item, Member, parse_dictionary, parse_list
from edgeproxy.identity.signatures import SignatureError, Signed

TAG: Final = "web-bot-auth"
_BINDING: Final = frozenset(('"@authority"', '"@target-uri"'))  # one of them, or the signature is good anywhere


def signature_agent(headers: Headers, signed: Signed) -> str | None:
    """The origin at which the agent says it publishes its keys; None if the signature covers no such word."""
    value = headers.get(b"signature-agent", b"")
    members: list[Member] = []
    if '"signature-agent"' in signed.covered:  # as in early drafts: a string, not a dictionary
        members = parse_list(value) or []
    else:
        keys = [item.parameters.get("key") for item in signed.input.items if item.value == "signature-agent"]
        members = [member for key, member in (parse_dictionary(value) or {}).items() if key in keys]
    named = [member.value for member in members if isinstance(member, Item) and isinstance(member.value, str)]
    return origin(named[0]) if len(named) == 1 else None


def origin(url: str) -> str | None:
    """A URL's scheme and host, to compare; None if it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.netloc else None


def check_terms(signed: Signed, now: float, max_age: float, leeway: float) -> None:
    """Raises SignatureError unless the signature is bound to a host and holds ``now``, in Unix seconds: from its
    ``created`` to its ``expires``, and no longer than ``max_age``."""
    if _BINDING.isdisjoint(signed.covered):
        raise SignatureError("The signature does not cover the host")
    if signed.created is None or signed.expires is None:
        raise SignatureError("The signature does not say since when and until when it holds")
    if signed.created > now + leeway:
        raise SignatureError("The signature does not hold yet")
    if now >= min(signed.expires, signed.created + max_age) + leeway:
        raise SignatureError("The signature has expired")
