"""What ``/v1/absences`` and ``/v1/workloads`` take and give."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.loop.journey.domain import Absence, Workload
from services.loop.journey.schemas.touchpoints import Id, Moment


class AbsenceIn(BaseModel):
    """Somebody is away: new tasks go to the deputy, else to whom the rule names instead.

    Left out, it begins now and has an open end.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    staff_id: Id
    deputy_id: Id | None = None
    begins_at: Moment | None = None
    ends_at: Moment | None = None


class AbsenceOut(BaseModel):
    """When somebody is away, and who gets the new tasks."""

    id: str
    staff_id: str
    deputy_id: str | None
    begins_at: AwareDatetime
    ends_at: AwareDatetime | None


class AbsenceList(BaseModel):
    """A part of who is away now or later, the earliest first."""

    data: list[AbsenceOut]
    next_cursor: str | None
    has_more: bool


class WorkloadIn(BaseModel):
    """How many open tasks somebody is given at most, and who gets what comes beyond."""

    model_config = ConfigDict(extra="forbid", strict=True)

    most_open: int | None = Field(ge=0, le=10_000, description="null: as many as come")
    deputy_id: Id | None = None


class WorkloadOut(BaseModel):
    """The limit of one member of staff."""

    staff_id: str
    most_open: int | None
    deputy_id: str | None
    version: int


class WorkloadList(BaseModel):
    """A part of the limits, by the id of whose they are."""

    data: list[WorkloadOut]
    next_cursor: str | None
    has_more: bool


def shown_absence(one: Absence) -> dict[str, object]:
    """Return an absence as the interface shows it."""
    return AbsenceOut(
        id=one.id,
        staff_id=one.staff_id,
        deputy_id=one.deputy_id,
        begins_at=one.begins_at,
        ends_at=one.ends_at,
    ).model_dump(mode="json")


def shown_workload(one: Workload) -> dict[str, object]:
    """Return a limit as the interface shows it."""
    return WorkloadOut(
        staff_id=one.staff_id,
        most_open=one.most_open,
        deputy_id=one.deputy_id,
        version=one.version,
    ).model_dump(mode="json")
