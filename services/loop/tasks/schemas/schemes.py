"""What ``/v1/schemes`` takes and gives: the ten questions of a recovery scheme."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic import StringConstraints as Limits

from services.loop.journey.schemas.calendars import Clock, Slug
from services.loop.journey.schemas.touchpoints import Text
from services.loop.journey.store.versions import Published
from services.loop.tasks.domain.schemes import full_document

Hours = Annotated[float, Field(gt=0, le=8_760)]
Language = Annotated[str, Limits(pattern=r"^[a-z]{2,3}$")]
Guide = Annotated[str, Limits(strip_whitespace=True, min_length=1, max_length=5_000)]


class EscalationIO(BaseModel):
    """Who else learns of a task after this part of its time; 1 is the deadline."""

    model_config = ConfigDict(extra="forbid", strict=True)

    at: float = Field(gt=0, le=10)
    to: Literal["lead", "head"]


class QuietHoursIO(BaseModel):
    """When nobody calls, by the customer's clock; it may span midnight."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")


class AttemptsIO(BaseModel):
    """What has to be tried before a customer counts as unreachable."""

    model_config = ConfigDict(extra="forbid", strict=True)

    number: int = Field(ge=1, le=20)
    days: int = Field(default=1, ge=1, le=20, description="on how many different days")
    channels: int = Field(default=1, ge=1, le=4, description="by how many different modes")
    quiet_hours: QuietHoursIO | None = None


class LimitIO(BaseModel):
    """Up to how much the owner of a task may grant alone."""

    model_config = ConfigDict(extra="forbid", strict=True)

    amount: float = Field(ge=0, le=1_000_000)
    currency: Annotated[str, Limits(pattern=r"^[A-Z]{3}$")]


class RemedyIO(BaseModel):
    """What may be offered; one in money without a limit always needs approval."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Slug
    name: Text
    kind: Literal["money", "kind"]
    limit: LimitIO | None = None


class AskCustomerIO(BaseModel):
    """When the customer is asked whether it is settled, and how long an answer is awaited."""

    model_config = ConfigDict(extra="forbid", strict=True)

    after_hours: float = Field(default=0, ge=0, le=2_160)
    silent_days: int = Field(default=14, ge=1, le=90)


Reminders = Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(max_length=5)]
Texts = Annotated[list[Text], Field(max_length=20)]


class _Answers(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    clock: Literal["team", "customer"] = Field(
        default="customer", description="whose time the promises are measured in"
    )
    calendar: Slug | None = Field(
        default=None, description="the opening hours: an id of /v1/calendars"
    )
    reminders: Reminders = Field(
        default_factory=list, description="parts of the time to the deadline"
    )
    escalations: Annotated[list[EscalationIO], Field(max_length=5)] = Field(
        default_factory=list
    )
    pauses_in: Annotated[
        list[Literal["waiting_customer", "waiting_internal"]], Field(max_length=2)
    ] = Field(default_factory=list, description="the states in which the clock stands still")
    night: bool = Field(
        default=False, description="whether alerts may come when nobody is at work"
    )
    mode: Literal["phone", "email", "in_person", "message"] | None = None
    intended: Texts = Field(default_factory=list, description="what it is meant to lead to")
    needs: Texts = Field(default_factory=list, description="what one has to know beforehand")
    talk_guide: Annotated[dict[Language, Guide], Field(max_length=40)] = Field(
        default_factory=dict, description="what to ask and say, by language"
    )
    remedies: Annotated[list[RemedyIO], Field(max_length=20)] = Field(default_factory=list)
    ask_customer: AskCustomerIO = Field(default_factory=AskCustomerIO)
    saved_within_days: int = Field(default=90, ge=1, le=730)
    share_practice: bool = False

    def members(self) -> dict[str, Any]:
        """Return what was sent, each member whole, as members of the document."""
        whole = self.model_dump(mode="json", by_alias=True)
        return {name: whole[name] for name in self.model_fields_set if name != "id"}


class SchemeChange(_Answers):
    """What may be said of a scheme; members left out stay, and each one sent is replaced."""

    name: Text = ""
    first_contact_within_hours: Hours = 8
    resolve_within_hours: Hours = 24
    attempts: AttemptsIO = Field(default_factory=lambda: AttemptsIO(number=3))


class NewScheme(_Answers):
    """A scheme to publish; rules name it by its id."""

    id: Slug = Field(examples=["gold"])
    name: Text
    first_contact_within_hours: Hours
    resolve_within_hours: Hours
    attempts: AttemptsIO

    def document(self) -> dict[str, Any]:
        """Return the whole document."""
        return self.model_dump(mode="json", by_alias=True)


class SchemeOut(BaseModel):
    """A recovery scheme, in the version that applies to new tasks."""

    id: str
    name: str
    version: int
    first_contact_within_hours: float
    resolve_within_hours: float
    attempts: AttemptsIO
    clock: str
    calendar: str | None
    reminders: list[float]
    escalations: list[EscalationIO]
    pauses_in: list[str]
    night: bool
    mode: str | None
    intended: list[str]
    needs: list[str]
    talk_guide: dict[str, str]
    remedies: list[RemedyIO]
    ask_customer: AskCustomerIO
    saved_within_days: int
    share_practice: bool
    published_at: AwareDatetime | None
    published_by: str | None


class SchemeList(BaseModel):
    """A part of the list of schemes."""

    data: list[SchemeOut]
    next_cursor: str | None
    has_more: bool


def shown_scheme(one: Published) -> dict[str, Any]:
    """Return a scheme as the interface shows it."""
    return SchemeOut(
        **full_document(one.document),
        published_at=one.published_at,
        published_by=one.published_by,
    ).model_dump(mode="json", by_alias=True)
