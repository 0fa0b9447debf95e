"""What ``/v1/touchpoints`` takes and gives."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from services.loop.journey.domain import OwnerRef, Ownership, Touchpoint

Text = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
]
Id = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[a-z0-9_]+$")]

_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})"
)


def _moment(value: object) -> datetime:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise PydanticCustomError("not_a_moment", "not a time with its offset (RFC 3339)")


Moment = Annotated[datetime, BeforeValidator(_moment)]


class OwnerIn(BaseModel):
    """Who answers for a touchpoint: a member of staff or a team."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Id
    kind: Literal["person", "team"]

    def ref(self) -> OwnerRef:
        """Return who is meant."""
        return OwnerRef(id=self.id, kind=self.kind)


def _owner_by_id(value: object) -> object:
    """Take an owner by the id alone: it says whether a team is meant."""
    if not isinstance(value, str):
        return value
    return {"id": value, "kind": "team" if value.startswith("team_") else "person"}


class _Described(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text | None = None
    macro: Text | None = None
    owner: Annotated[OwnerIn | None, BeforeValidator(_owner_by_id)] = None
    department_id: Id | None = None
    key: bool = False

    def members(self) -> dict[str, Any]:
        """Return what was sent, as members of a touchpoint."""
        sent: dict[str, Any] = {
            name: getattr(self, name) for name in self.model_fields_set - {"code", "owner"}
        }
        if "owner" in self.model_fields_set:
            sent["owner"] = self.owner and self.owner.ref()
        return sent


class TouchpointChange(_Described):
    """What may be said of a touchpoint; members left out stay, null clears.

    ``owner`` answers from now on with an open end. ``alias_of`` makes the code stand for
    another touchpoint in everything; null takes that back.
    """

    alias_of: Text | None = None


class NewTouchpoint(_Described):
    """A touchpoint to describe; its code is what sources send."""

    code: Text


class NewOwnership(BaseModel):
    """Who is to answer for a touchpoint from when until when; left out: from now, open end."""

    model_config = ConfigDict(extra="forbid", strict=True)

    owner: Annotated[OwnerIn, BeforeValidator(_owner_by_id)]
    department_id: Id | None = None
    valid_from: Moment | None = None
    valid_until: Moment | None = None


class OwnershipEnd(BaseModel):
    """When a period is to end."""

    model_config = ConfigDict(extra="forbid", strict=True)

    valid_until: Moment


class OwnerOut(BaseModel):
    """Who answers for a touchpoint."""

    id: str
    kind: Literal["person", "team"]


class TouchpointOut(BaseModel):
    """A touchpoint as it is now; ``mapped`` is false while only responses have named it.

    ``owner`` and ``department_id`` are those in force, of a code with ``alias_of`` those of
    that touchpoint. ``owned`` is false too where the owner's account is disabled: then the
    tasks go to the default owner. ``responses`` counts those answered in the last 12 weeks,
    with the codes that stand for this one.
    """

    code: str
    name: str | None
    macro: str | None
    key: bool
    alias_of: str | None
    owner: OwnerOut | None
    owned: bool
    department_id: str | None
    mapped: bool
    responses: int
    last_answer_on: date | None
    first_seen_at: AwareDatetime
    version: int


class OwnershipOut(BaseModel):
    """A period in which somebody answers for a touchpoint; the end no longer belongs to it."""

    id: str
    owner: OwnerOut | None
    department_id: str | None
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None
    state: Literal["past", "current", "planned"]


class TouchpointList(BaseModel):
    """A part of the list of touchpoints."""

    data: list[TouchpointOut]
    next_cursor: str | None
    has_more: bool


class OwnershipList(BaseModel):
    """Every period of one touchpoint, the earliest first."""

    data: list[OwnershipOut]
    next_cursor: str | None
    has_more: bool


def shown(touchpoint: Touchpoint) -> dict[str, object]:
    """Return a touchpoint as ``/v1/touchpoints`` shows it."""
    return TouchpointOut(
        code=touchpoint.code,
        name=touchpoint.name,
        macro=touchpoint.macro,
        key=touchpoint.key,
        alias_of=touchpoint.alias_of,
        owner=_owner(touchpoint.owner),
        owned=touchpoint.is_owned,
        department_id=touchpoint.department_id,
        mapped=touchpoint.is_mapped,
        responses=touchpoint.answers,
        last_answer_on=touchpoint.last_answer_on,
        first_seen_at=touchpoint.first_seen_at,
        version=touchpoint.version,
    ).model_dump(mode="json")


def shown_period(period: Ownership, now: datetime) -> dict[str, object]:
    """Return a period as ``/v1/touchpoints/{code}/owners`` shows it."""
    return OwnershipOut(
        id=period.id,
        owner=_owner(period.owner),
        department_id=period.department_id,
        valid_from=period.valid_from,
        valid_until=period.valid_until,
        state=(
            "current" if period.holds(now) else "planned" if now < period.valid_from else "past"
        ),
    ).model_dump(mode="json")


def _owner(owner: OwnerRef | None) -> OwnerOut | None:
    return OwnerOut(id=owner.id, kind=owner.kind) if owner else None
