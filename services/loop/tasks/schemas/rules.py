"""What ``/v1/routing-rules`` takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from services.loop.journey.schemas.touchpoints import Id, Text
from services.loop.tasks.domain import conditions
from services.loop.tasks.domain.routing import OwnerKind
from services.loop.tasks.domain.rulebooks import MOST_RULES, Document
from services.loop.tasks.store.rulebooks import Draft, Published
from shared.stats.categories import Metric

RuleId = Annotated[
    str, StringConstraints(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9-]*$")
]
Measurement = Literal["transactional", "periodic", "unsolicited"]
Sentiment = Literal["negative", "neutral", "positive"]
_Band = Annotated[list[int], Field(min_length=2, max_length=2)]
_One = Text | bool | int | float
_STRICT: Final = ConfigDict(extra="forbid", strict=True)
_GIVEN: Final = ConfigDict(extra="forbid", strict=False)
_PLACE: Final = "where it stands, the first rule being 1; left out: at the end, or where it is"


def _each_once(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


class ConditionIn(BaseModel):
    """Something that has to hold besides; all conditions of a rule have to.

    Texts compare without case, and codes as what they stand for. ``score`` and ``annual_value``
    take numbers, also with ``at_least`` and ``at_most``; ``repeat`` and ``has_comment`` take
    ``is`` with true or false; ``exists`` takes true or false with every other field.
    """

    model_config = _STRICT

    field: conditions.Field
    op: conditions.Op
    value: _One | Annotated[list[_One], Field(min_length=1, max_length=200)]


class OwnerChoiceIn(BaseModel):
    """Who gets the tasks: whoever owns the touchpoint, the customer's contact, or one by id.

    The deputy takes over where that is nobody, and for whoever is absent or has enough.
    """

    model_config = _STRICT

    kind: OwnerKind = "touchpoint_owner"
    id: Id | None = None
    deputy: Id | None = None


class RuleIn(BaseModel):
    """A rule; the first one that matches opens the task.

    ``scores`` are the lowest and the highest score by metric, ``unscored`` the sentiments where
    there is no score. Without both the conditions decide alone.
    """

    model_config = _STRICT

    id: RuleId
    name: Text
    enabled: bool = True
    measurements: Annotated[
        list[Measurement], Field(min_length=1), AfterValidator(_each_once)
    ] = Field(default=["transactional", "unsolicited"])
    scores: dict[Metric, _Band] = Field(default_factory=dict)
    unscored: Annotated[list[Sentiment], AfterValidator(_each_once)] = Field(
        default_factory=list
    )
    conditions: list[ConditionIn] = Field(default_factory=list, max_length=20)
    owner: OwnerChoiceIn = OwnerChoiceIn()
    scheme: Text = "standard"


class NewRule(RuleIn):
    """A rule to add, and where."""

    position: int | None = Field(default=None, ge=1, le=MOST_RULES, description=_PLACE)

    def rule(self) -> dict[str, Any]:
        """Return the rule as a rule book holds it."""
        return self.model_dump(exclude={"position"})

    @property
    def at(self) -> int | None:
        """Return where it is to stand, the first place being 0."""
        return None if self.position is None else self.position - 1


class RuleChange(BaseModel):
    """What may be said of a rule; members left out stay."""

    model_config = _STRICT

    name: Text | None = None
    enabled: bool | None = None
    measurements: Annotated[list[Measurement] | None, Field(min_length=1)] = None
    scores: dict[Metric, _Band] | None = None
    unscored: list[Sentiment] | None = None
    conditions: list[ConditionIn] | None = Field(default=None, max_length=20)
    owner: OwnerChoiceIn | None = None
    scheme: Text | None = None
    position: int | None = Field(default=None, ge=1, le=MOST_RULES, description=_PLACE)

    def changes(self) -> dict[str, Any]:
        """Return what was sent, as members of a rule."""
        return self.model_dump(exclude={"position"}, exclude_none=True, exclude_unset=True) | (
            {} if self.owner is None else {"owner": self.owner.model_dump()}
        )

    @property
    def at(self) -> int | None:
        """Return where it is to stand, the first place being 0."""
        return None if self.position is None else self.position - 1


class Repeat(BaseModel):
    """How long a customer who is unhappy again is one case, and how much sooner it is due."""

    model_config = _STRICT

    within_days: int = Field(ge=0, le=365, description="0: never one case")
    share_of_time: float = Field(
        ge=0.1, le=1, description="the part of the usual time that such a customer waits"
    )


class Burst(BaseModel):
    """From how many unhappy customers of a touchpoint on their owner gets one mail for all."""

    model_config = _STRICT

    at_least: int = Field(default=0, ge=0, le=100_000, description="0: never")
    within_minutes: int = Field(default=60, ge=1, le=1_440)


class BookIn(BaseModel):
    """A whole rule book: the rules in their order, and what applies to all of them."""

    model_config = _STRICT

    too_old_after_days: int = Field(default=30, ge=0, le=3_660)
    repeat: Repeat
    burst: Burst = Field(default_factory=Burst)
    rules: list[RuleIn] = Field(max_length=MOST_RULES)

    def document(self) -> dict[str, Any]:
        """Return it as it is kept; the version is given when it is published."""
        return self.model_dump()


class PublisherOut(BaseModel):
    """Who published a version."""

    id: str
    name: str


class RuleOut(RuleIn):
    """A rule, and where it stands in the version of the rules that applies."""

    position: int
    version: int


class RuleList(BaseModel):
    """A part of the rules in their order; ``version`` is that of the whole rule book."""

    version: int
    data: list[RuleOut]
    next_cursor: str | None
    has_more: bool


class BookOut(BookIn):
    """A version of the rules; the one that is shipped was published by nobody."""

    model_config = _GIVEN

    version: int
    published_at: AwareDatetime | None
    published_by: PublisherOut | None


class BookList(BaseModel):
    """A part of the versions, the latest first."""

    data: list[BookOut]
    next_cursor: str | None
    has_more: bool


class DraftOut(BookIn):
    """The rules that somebody works on: ``version`` is the draft's own."""

    model_config = _GIVEN

    version: int
    based_on: int
    changed_at: AwareDatetime
    changed_by: PublisherOut


def shown_rule(book: Document, n: int) -> dict[str, Any]:
    """Return one rule as the interface shows it."""
    return {**book["rules"][n], "position": n + 1, "version": book["version"]}


def shown_book(book: Published, names: dict[str, str]) -> dict[str, Any]:
    """Return a version as the interface shows it."""
    return BookOut.model_validate(
        {
            **book.document,
            "version": book.version,
            "published_at": book.published_at,
            "published_by": _publisher(book.published_by, names),
        },
    ).model_dump(mode="json")


def shown_draft(draft: Draft, names: dict[str, str]) -> dict[str, Any]:
    """Return the draft as the interface shows it."""
    return DraftOut.model_validate(
        {
            **draft.document,
            "version": draft.version,
            "based_on": draft.based_on,
            "changed_at": draft.changed_at,
            "changed_by": _publisher(draft.changed_by, names),
        },
    ).model_dump(mode="json")


def _publisher(who: str | None, names: dict[str, str]) -> dict[str, str] | None:
    return None if who is None else {"id": who, "name": names.get(who, who)}
