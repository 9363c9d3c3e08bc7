"""The settings of splits: what is drawn by, and the arms."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edgeproxy.config.fields import EditableField, FieldValue
from edgeproxy.config.units import Cidr, Duration, Share
from edgeproxy.config.values import FieldName, Many, Name
from edgeproxy.limits.keys import parse_key

_MODEL = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)
CookieName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$")]


def _key(text: str) -> str:
    return text if text == "random" else parse_key(text)


class WhenSettings(BaseModel):
    """Requests that are in an arm without a draw: all that is given must hold."""

    model_config = _MODEL

    header: dict[FieldName, str | bool] = Field({}, max_length=8)
    """Fields and their whole value; `true` for any value, `false` for a field that is not there."""

    cookie: dict[CookieName, str] = Field({}, max_length=8)
    """Cookies and their whole value."""

    client: Annotated[tuple[Cidr, ...], Many] = ()
    """Addresses and blocks the client's address lies in."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.header or self.cookie or self.client):
            raise ValueError("when: give header, cookie or client")
        return self


class ArmSettings(BaseModel):
    """One arm of a split."""

    model_config = _MODEL

    share: Share | None = Field(None, ge=0, le=1)
    """Its part of all keys: `5%`. The first arm has what the others leave; any other that says nothing has none, and
    is there for its `when`."""

    when: WhenSettings | None = None
    """Who is in it without a draw: testers by a field, a cookie, an address. The first arm whose `when` holds counts.
    Whoever can send the field or the cookie is in the arm."""

    pool: Name | None = None
    """The origin pool asked in place of the route's."""

    request: dict[EditableField, FieldValue] = Field({}, max_length=16)
    """Fields that the origin is told: `{x-arm: new}`. What clients send under the name of any arm's is removed."""

    response: dict[EditableField, FieldValue] = Field({}, max_length=16)
    """Fields that the client is told."""


class SplitSettings(BaseModel):
    """One split: what is drawn by, and the arms."""

    model_config = _MODEL

    key: Annotated[str, AfterValidator(_key)] = "client.ip"
    """What is drawn by, as in `rate_limit`: `client.ip`, `cookie:visitor`, `header:x-user`, `identity`, `claim:sub`, or
    several joined by `+`. One key is in one arm, on every node and after every restart. A request without any is in the
    first arm. `random`: each visitor draws one of a million numbers and keeps it in the cookie `split-NAME`."""

    max_age: Duration = Field(7_776_000, ge=60, le=34_560_000)
    """How long that cookie is kept: 1m to 400d."""

    arms: dict[Name, ArmSettings] = Field(min_length=2, max_length=16)
    """2 to 16 arms by name, the usual one first. An arm whose share grows keeps all that were in it."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        first, *others = self.arms.values()
        shares = sum(arm.share or 0.0 for arm in others)
        if shares > 1 + 1e-9:
            raise ValueError(f"arms: the shares behind the first add up to {shares:.6%}")
        if first.share is not None and abs(first.share + shares - 1) > 1e-9:
            raise ValueError(f"arms: the shares add up to {first.share + shares:.6%}; leave the first one's out")
        return self
