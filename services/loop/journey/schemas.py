"""What ``/v1/touchpoints`` takes and gives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from services.loop.journey.domain import OwnerRef, Touchpoint

Text = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
]
Id = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[a-z0-9_]+$")]


class OwnerIn(BaseModel):
    """Who answers for a touchpoint: a member of staff or a team."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Id
    kind: Literal["person", "team"]


def _owner_by_id(value: object) -> object:
    """Take an owner by the id alone: it says whether a team is meant."""
    if not isinstance(value, str):
        return value
    return {"id": value, "kind": "team" if value.startswith("team_") else "person"}


class TouchpointChange(BaseModel):
    """What may be said of a touchpoint; members left out stay, null clears."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text | None = None
    macro: Text | None = None
    owner: Annotated[OwnerIn | None, BeforeValidator(_owner_by_id)] = None
    department_id: Id | None = None

    def members(self) -> dict[str, Any]:
        """Return what was sent, as members of a touchpoint."""
        sent: dict[str, Any] = {
            name: getattr(self, name) for name in self.model_fields_set - {"code", "owner"}
        }
        if "owner" in self.model_fields_set:
            sent["owner"] = self.owner and OwnerRef(id=self.owner.id, kind=self.owner.kind)
        return sent


class NewTouchpoint(TouchpointChange):
    """A touchpoint to describe; its code is what sources send."""

    code: Text


class OwnerOut(BaseModel):
    """Who answers for a touchpoint."""

    id: str
    kind: Literal["person", "team"]


class TouchpointOut(BaseModel):
    """A touchpoint; ``mapped`` is false while only responses have named it."""

    code: str
    name: str | None
    macro: str | None
    owner: OwnerOut | None
    department_id: str | None
    mapped: bool
    first_seen_at: AwareDatetime
    version: int


def shown(touchpoint: Touchpoint) -> dict[str, object]:
    """Return a touchpoint as ``/v1/touchpoints`` shows it."""
    owner = touchpoint.owner
    return TouchpointOut(
        code=touchpoint.code,
        name=touchpoint.name,
        macro=touchpoint.macro,
        owner=OwnerOut(id=owner.id, kind=owner.kind) if owner else None,
        department_id=touchpoint.department_id,
        mapped=touchpoint.mapped,
        first_seen_at=touchpoint.first_seen_at,
        version=touchpoint.version,
    ).model_dump(mode="json")
