"""What ``/v1/departments``, ``/v1/staff`` and ``/v1/teams`` take and give."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.loop.journey.schemas.touchpoints import Id, Text
from shared.identity.groups import Department, Team
from shared.identity.people import Staff


class NewDepartment(BaseModel):
    """A department to add; its head is a member of staff."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text
    head_id: Id | None = None


class DepartmentChange(BaseModel):
    """What may be said of a department; members left out stay, a head of null is nobody."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text | None = None
    head_id: Id | None = None

    def members(self) -> dict[str, Any]:
        """Return what was sent; an empty head takes the head away."""
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        if "head_id" in sent and sent["head_id"] is None:
            sent["head_id"] = ""
        return sent


class DepartmentOut(BaseModel):
    """A part of the company."""

    id: str
    name: str
    head_id: str | None
    created_at: AwareDatetime
    version: int


class DepartmentList(BaseModel):
    """A part of the list of departments."""

    data: list[DepartmentOut]
    next_cursor: str | None
    has_more: bool


class StaffOut(BaseModel):
    """A member of staff, as far as it takes to name an owner."""

    id: str
    name: str
    email: str
    role: str
    language: str
    department_id: str | None
    active: bool


class StaffList(BaseModel):
    """A part of the list of staff."""

    data: list[StaffOut]
    next_cursor: str | None
    has_more: bool


class TeamOut(BaseModel):
    """A team that can hold tasks unclaimed."""

    id: str
    name: str
    email: str | None
    department_id: str | None


class TeamList(BaseModel):
    """A part of the list of teams."""

    data: list[TeamOut]
    next_cursor: str | None
    has_more: bool


def shown_department(part: Department) -> dict[str, object]:
    """Return a department as ``/v1/departments`` shows it."""
    return DepartmentOut(
        id=part.id,
        name=part.name,
        head_id=part.head_id,
        created_at=part.created_at,
        version=part.version,
    ).model_dump(mode="json")


def shown_staff(person: Staff) -> dict[str, object]:
    """Return a member of staff as ``/v1/staff`` shows them."""
    return StaffOut(
        id=person.id,
        name=person.name,
        email=person.email,
        role=person.role.value,
        language=person.language,
        department_id=person.department_id,
        active=person.active,
    ).model_dump(mode="json")


def shown_team(group: Team) -> dict[str, object]:
    """Return a team as ``/v1/teams`` shows it."""
    return TeamOut(
        id=group.id, name=group.name, email=group.email, department_id=group.department_id
    ).model_dump(mode="json")
