"""What ``/v1/service-levels`` gives."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict, Field

from services.loop.tasks.domain.levels import Level, ServiceLevel, Times


class TimesOut(BaseModel):
    """How long it took, in seconds; null where there is no case."""

    n: int
    median_seconds: int | None
    p90_seconds: int | None


class LevelOut(BaseModel):
    """How one promise was kept; ``n`` counts those that are decided."""

    n: int
    on_time: int
    share: float | None
    ci95: tuple[float, float] | None
    enough: bool
    customer: TimesOut = Field(description="in wall time, since the customer waits")
    team: TimesOut = Field(description="in opening hours, where the scheme has a calendar")


class SchemeRefOut(BaseModel):
    """A scheme, in all of its versions together."""

    id: str
    name: str


class ServiceLevelOut(BaseModel):
    """How the promises of one scheme were kept; ``n`` counts the tasks that owed something."""

    scheme: SchemeRefOut
    n: int
    first_contact: LevelOut
    resolution: LevelOut


class ServiceLevelsOut(BaseModel):
    """The service levels of the tasks that opened in a period."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    data: list[ServiceLevelOut]


def level_out(one: ServiceLevel) -> ServiceLevelOut:
    """Return one scheme's levels as the interface shows them."""
    return ServiceLevelOut(
        scheme=SchemeRefOut(id=one.scheme, name=one.name),
        n=one.n,
        first_contact=_level(one.first_contact),
        resolution=_level(one.resolution),
    )


def _level(level: Level) -> LevelOut:
    found = level.on_time
    return LevelOut(
        n=found.n,
        on_time=round((found.value or 0) * found.n),
        share=found.value,
        ci95=found.ci95,
        enough=found.enough,
        customer=_times(level.customer),
        team=_times(level.team),
    )


def _times(times: Times) -> TimesOut:
    return TimesOut(
        n=times.n, median_seconds=_seconds(times.median), p90_seconds=_seconds(times.p90)
    )


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())
