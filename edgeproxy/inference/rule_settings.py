"""The rules of the predict stage as configuration says them."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from edgeproxy.config.fields import EditableField, FieldValue, OwnField
from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration, Size
from edgeproxy.config.values import Many, Method, Name, Path
from edgeproxy.http.media import media_pattern

On = Literal["head", "body", "answer"]
Named = Annotated[str, Field(min_length=1, max_length=128)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/+{}-]{1,128}$")]  # what tags and logs take as one word
Version = Annotated[int, Field(ge=1, le=999_999_999)]
Value = Annotated[float, Field(allow_inf_nan=False)]

# What can be done with what a model says, and on what: a kept answer is nobody's in particular, so neither a client's
# request, its score nor its line of the log has to do with it; and a body is looked at when the route is settled.
ACTIONS: Final[dict[str, tuple[On, ...]]] = {
    "header": ("head", "body"),
    "response_header": ("head", "body", "answer"),
    "tag": ("answer",),
    "log": ("head", "body"),
    "score": ("head",),
    "route": ("head",),
    "refuse": ("head", "body"),
}
DRASTIC: Final = ("route", "refuse")  # never for whatever a model says


class Use(Section):
    """One use of what a model says: one of the actions, and what it depends on."""

    header: OwnField | None = None
    """A field of the request in which the origin is told `as`. What clients send there is removed from every request
    on the route."""

    response_header: EditableField | None = None
    """A field of the answer in which the client is told `as`; on a kept answer it is kept with it."""

    tag: Word | None = None
    """A tag of the kept answer, by which a purge finds it: `label-{label}`."""

    log: Word | None = None
    """A word on the log's line: `{label}`."""

    score: Annotated[int, Field(ge=1, le=100)] | None = None
    """Points for the bot score: so many for a value of 1, fewer for less. `bot_check` adds its own."""

    route: Name | None = None
    """Another route that takes over. The stages of this one that judge clients are still passed, unless the other has
    them itself, and all of the other's; its cache and its origin then answer."""

    refuse: bool = False
    """Answer 403."""

    output: Named | None = None
    """The output that is read; the first one of the model's if it is not given."""

    label: Named | None = None
    """The value is what that label has, of an output with labels; else that of the likeliest one."""

    above: Value | None = None
    """Only where the value is this or more."""

    below: Value | None = None
    """Only where the value is less than this."""

    as_: Annotated[FieldValue, Field(min_length=1, max_length=256)] | None = Field(default=None, alias="as")
    """What `header` and `response_header` say: text with `{label}`, `{value}`, `{model}`, `{version}` and `{by}` (who
    answered: `edge`, `regional`, `central`, `default`). Not given: the label, or the value where there are none."""

    @property
    def action(self) -> str:
        """The name of its action."""
        return next(name for name in ACTIONS if getattr(self, name))

    @model_validator(mode="after")
    def _sound(self) -> Self:
        given = [name for name in ACTIONS if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"has exactly one of {', '.join(ACTIONS)}")
        if self.action in DRASTIC and self.above is None and self.below is None:
            raise ValueError(f"{self.action}: say from which value on, with above or below")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError("above must be less than below")
        if self.as_ is not None and not self.action.endswith("header"):
            raise ValueError("as: is for header and response_header")
        return self


class When(Section):
    """What a rule is about. All conditions given must hold, each for one of its values; none given is everything."""

    path: Annotated[tuple[Path, ...], Many] = ()
    """What the path begins with: `/admin` is also `/administrator`, `/admin/` is not `/admin`. Repeated slashes
    count as one."""

    method: Annotated[tuple[Method, ...], Many] = ()
    """Methods."""

    type: Annotated[tuple[Annotated[str, AfterValidator(media_pattern)], ...], Many] = ()
    """Types of the body or the answer: `image/png`, `text/*`. Not given: pictures, or texts, forms and JSON, whichever
    the model takes."""


class RuleSettings(Section):
    """A model that is asked, when, and what is done with what it says."""

    model: Name
    """A model of this node, from the section `models`."""

    version: Version | None = None
    """The version that answers; the one in service if it is not given."""

    on: On = "head"
    """`head`: the request's fields, before the cache is looked at. `body`: the request's body, after all that judges
    the client, before the origin is asked. `answer`: an answer with status 200, once, when it is kept; later ones from
    the cache have what was made of it."""

    when: When = When()
    """What the rule is about."""

    input: dict[Named, Named] = Field({}, max_length=32)
    """By input of the model, the function that makes its numbers: `{features: text/1}`. Not given: what the model's
    manifest names."""

    size: Annotated[Size, Field(ge=1, le=50_000_000)] = 64_000
    """The largest body or answer that is held and looked at: up to 50MB. Longer ones pass as they come."""

    wait: Annotated[Duration, Field(ge=0.01, le=60)] = 2
    """How long an answer may take to arrive and to be decoded, 10ms to 1m. What takes longer is kept as it is."""

    within: Annotated[Duration, Field(ge=0.0001, le=60)] | None = None
    """How long the model may take, in place of its own budget."""

    shadow: Version | None = None
    """Another version of the model that is asked the same, on this node, and only compared: `edgeproxy_shadow_total`
    counts whether it would have led to the same, `edgeproxy_shadow_difference` how far its values were off."""

    unanswered: Literal["pass", "refuse"] = "pass"
    """What happens where the model says nothing: it is not here or too slow, or the body is too long, compressed, or
    there is no memory to hold it. `refuse` answers 503, 413 or 415, so that nobody gets past the model that way; an
    answer is kept as it is."""

    into: Annotated[tuple[Use, ...], Field(max_length=16)] = ()
    """What is done with what it says, in this order."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for use in self.into:
            if self.on not in ACTIONS[use.action]:
                raise ValueError(f"into: {use.action} is for rules on {' or '.join(ACTIONS[use.action])}")
        if self.on == "head" and self.when.type:
            raise ValueError("when: type is for rules on body or answer")
        if self.on == "answer" and self.unanswered == "refuse":
            raise ValueError("unanswered: refuse is for rules on head or body")
        if not self.into and self.shadow is None:
            raise ValueError("into: nothing is done with what the model says, and there is no shadow to compare")
        return self
