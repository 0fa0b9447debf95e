"""What ``/v1/routing-rules/try`` takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.loop.journey.schemas.calendars import NewCalendar
from services.loop.tasks.domain.trial import Pair, Side, Trial
from services.loop.tasks.schemas.rules import BookIn
from services.loop.tasks.schemas.schemes import NewScheme


class TryIn(BaseModel):
    """What to try instead of what applies; members left out are as they apply now."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rules: BookIn | None = Field(
        default=None, description="a whole rule book, as the draft takes it"
    )
    schemes: list[NewScheme] = Field(default_factory=list, max_length=50)
    calendars: list[NewCalendar] = Field(default_factory=list, max_length=50)


class SideOut(BaseModel):
    """How much it was, and how much of it late; ``unknown`` is what nobody worked on."""

    tasks: int
    late_first_contact: int
    late: int
    unknown: int


class PairOut(BaseModel):
    """The same figures tried and live."""

    tried: SideOut
    live: SideOut


class OwnerPairOut(PairOut):
    """The figures of one owner: whoever got the tasks when they were opened."""

    owner: str
    name: str | None


class RulePairOut(PairOut):
    """The figures of one rule."""

    rule: str


class TrialOut(BaseModel):
    """What was tried beside what was really done, over the last 90 days.

    ``only_tried`` counts answers that have no task and would have one, ``only_live`` the
    reverse. With ``whole`` false only the latest answers were looked at, since ``first``.
    """

    first: AwareDatetime
    last: AwareDatetime
    responses: int
    whole: bool
    total: PairOut
    owners: list[OwnerPairOut]
    rules: list[RulePairOut]
    only_tried: int
    only_live: int


def shown_trial(trial: Trial, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a trial as the interface shows it."""
    return TrialOut(
        first=trial.first,
        last=trial.last,
        responses=trial.responses,
        whole=trial.whole,
        total=PairOut(**_pair(trial.total)),
        owners=[
            OwnerPairOut(owner=owner, name=names.get(owner), **_pair(pair))
            for owner, pair in trial.owners.items()
        ],
        rules=[RulePairOut(rule=rule, **_pair(pair)) for rule, pair in trial.rules.items()],
        only_tried=trial.only_tried,
        only_live=trial.only_live,
    ).model_dump(mode="json")


def _pair(pair: Pair) -> dict[str, Any]:
    return {"tried": _side(pair.tried), "live": _side(pair.live)}


def _side(side: Side) -> SideOut:
    return SideOut(
        tasks=side.tasks,
        late_first_contact=side.late_first_contact,
        late=side.late,
        unknown=side.unknown,
    )
