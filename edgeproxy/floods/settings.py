"""Settings of the flood stage that are maps of their own: what is done in a state, and who is told."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

from edgeproxy.config.values import FieldName


def _callable(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and url.isprintable()
    except ValueError:
        sound = False
    if not sound or " " in url:
        raise ValueError(f"{url!r} is not an address to call; write it like https://alerts.example.com/hook")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a webhook's secret goes into its header, never into its URL")
    return url


def _printable(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable():
        raise ValueError("a header's value is printable ASCII")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


class MeasuresConfig(_Section):
    """What is done in one state. By default nothing but telling."""

    unknown: Literal["pass", "limit", "challenge", "refuse"] = "pass"
    """Clients that were not here before the surge: `pass` (fail-open), `limit` and `challenge` (by those stages),
    `refuse` (fail-closed, 503). Known are those seen in normal times, at least 16 seconds before the alarm, and whoever
    an earlier stage verified."""

    origin: Literal["everybody", "known", "nobody"] = "everybody"
    """Whose requests may go to the origin. For others a stale answer stands in, within its terms and the cache's
    `grace`; else they get 503. `nobody`: cache only."""

    worst: bool = False
    """Refuse the networks and fingerprints that make up the surge (503), see `worst_share`; known clients never."""


class WebhookConfig(_Section):
    """Who is told of every change: a POST of JSON, once a node."""

    url: Annotated[str, AfterValidator(_callable)]
    """`https://…` or `http://…`, without a user or a password. Redirects are not followed."""

    header: FieldName = "authorization"
    """The field that `secret` is sent in."""

    secret: Annotated[SecretStr, AfterValidator(_printable)] | None = None
    """The field's whole value, like `Bearer ${HOOK_TOKEN}`."""
