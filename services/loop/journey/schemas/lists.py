"""What ``/v1/segments``, ``/v1/products`` and ``/v1/reasons`` take and give."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.loop.journey.domain import Code
from services.loop.journey.schemas.touchpoints import Text

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
Labels = Annotated[dict[Language, Text], Field(max_length=40)]


class CodeChange(BaseModel):
    """What may be said of a code; members left out stay.

    ``labels`` are names by language and replace the former ones. ``alias_of`` makes the code
    stand for another one of its list in everything; null takes that back.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    labels: Labels = Field(default_factory=dict)
    alias_of: Text | None = None

    def members(self) -> dict[str, Any]:
        """Return what was sent, as members of a code."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class NewCode(BaseModel):
    """A code to describe; it is what sources send. Without labels it is its own name."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: Text
    labels: Labels = Field(default_factory=dict)


class StarterSet(BaseModel):
    """Which set of ready contact reasons to add."""

    model_config = ConfigDict(extra="forbid", strict=True)

    set: Literal["bank"]


class CodeOut(BaseModel):
    """A code of a list; ``name`` is its label in the reader's language, else its code.

    ``responses`` counts those answered in the last 12 weeks, with the codes that stand for it.
    """

    code: str
    name: str
    labels: dict[str, str]
    alias_of: str | None
    mapped: bool
    retired_at: AwareDatetime | None
    responses: int
    last_answer_on: date | None
    first_seen_at: AwareDatetime
    version: int


class ReasonOut(CodeOut):
    """A contact reason with what was counted in the period that was asked for."""

    n: int
    emotions: dict[str, int]


class CodeList(BaseModel):
    """A part of a list of codes."""

    data: list[CodeOut]
    next_cursor: str | None
    has_more: bool


class ReasonList(BaseModel):
    """A part of the list of contact reasons, and the period that was counted in.

    ``unknown`` is what the sender gave no reason for.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    unknown: UnknownReason
    data: list[ReasonOut]
    next_cursor: str | None
    has_more: bool


class UnknownReason(BaseModel):
    """Responses and emotions without a contact reason."""

    n: int
    emotions: dict[str, int]


def shown_code(code: Code, language: str) -> dict[str, object]:
    """Return a code as its list shows it."""
    return CodeOut(
        code=code.code,
        name=code.name_in(language),
        labels=dict(code.labels),
        alias_of=code.alias_of,
        mapped=code.is_mapped,
        retired_at=code.retired_at,
        responses=code.answers,
        last_answer_on=code.last_answer_on,
        first_seen_at=code.first_seen_at,
        version=code.version,
    ).model_dump(mode="json")
