"""What ``/v1/calendars`` takes and gives."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic import StringConstraints as Limits
from pydantic_core import PydanticCustomError

from services.loop.journey.schemas.touchpoints import Text
from services.loop.journey.store.versions import Published

Slug = Annotated[str, Limits(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Clock = Annotated[str, Limits(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise PydanticCustomError("not_a_day", "not a day such as 2026-12-24") from None


Day = Annotated[str, Limits(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]


class ShiftIO(BaseModel):
    """A stretch of a day in which somebody is at work; an end at 00:00 is the day's end."""

    model_config = ConfigDict(extra="forbid", strict=True)

    start: Clock = Field(examples=["09:00"])
    end: Clock = Field(examples=["12:30"])


Shifts = Annotated[list[ShiftIO], Field(max_length=8)]


class WeekIO(BaseModel):
    """The shifts of each day, in order; what lies between them is closed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    monday: Shifts = Field(default_factory=list)
    tuesday: Shifts = Field(default_factory=list)
    wednesday: Shifts = Field(default_factory=list)
    thursday: Shifts = Field(default_factory=list)
    friday: Shifts = Field(default_factory=list)
    saturday: Shifts = Field(default_factory=list)
    sunday: Shifts = Field(default_factory=list)


class RegionIO(BaseModel):
    """Whose public holidays are closed: the ISO codes of a country and of a region."""

    model_config = ConfigDict(extra="forbid", strict=True)

    country: Annotated[str, Limits(pattern=r"^[A-Z]{2}$")] = Field(examples=["DE"])
    region: Annotated[str, Limits(min_length=1, max_length=60)] | None = Field(
        default=None, examples=["BY"]
    )


Zone = Annotated[str, Limits(max_length=60)]


class _Exceptions(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    holidays: RegionIO | None = None
    closed: Annotated[list[Day], Field(max_length=400)] = Field(default_factory=list)
    special: Annotated[dict[Day, Shifts], Field(max_length=400)] = Field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """Return what was sent, each member whole, as members of the document."""
        whole = self.model_dump(mode="json")
        return {name: whole[name] for name in self.model_fields_set if name != "id"}


class CalendarChange(_Exceptions):
    """What may be said of a calendar; members left out stay, and each one sent is replaced.

    ``special`` gives days hours of their own; they count before the week, the holidays and
    ``closed``.
    """

    name: Text = ""
    time_zone: Zone = Field(default="", examples=["Europe/Berlin"])
    week: WeekIO = Field(default_factory=WeekIO)


class NewCalendar(_Exceptions):
    """A calendar to publish; without holidays only ``closed`` and the week are kept free."""

    id: Slug = Field(examples=["berlin-office"])
    name: Text
    time_zone: Zone = Field(examples=["Europe/Berlin"])
    week: WeekIO

    def document(self) -> dict[str, Any]:
        """Return the whole document."""
        return self.model_dump(mode="json")


class CalendarOut(BaseModel):
    """A business calendar, in the version that applies."""

    id: str
    name: str
    version: int
    time_zone: str
    week: WeekIO
    holidays: RegionIO | None
    closed: list[date]
    special: dict[date, list[ShiftIO]]
    published_at: AwareDatetime | None
    published_by: str | None


class CalendarList(BaseModel):
    """A part of the list of calendars."""

    data: list[CalendarOut]
    next_cursor: str | None
    has_more: bool


def shown_calendar(one: Published) -> dict[str, Any]:
    """Return a calendar as the interface shows it."""
    return CalendarOut(
        **one.document, published_at=one.published_at, published_by=one.published_by
    ).model_dump(mode="json")
