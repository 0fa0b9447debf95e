"""What ``/v1/closure-rates`` gives."""

from __future__ import annotations

from datetime import date
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from services.loop.tasks.domain.task import Benefit, CauseArea
from services.loop.tasks.handlers.closure import Closure, Learned, Rate


class RateOut(BaseModel):
    """How many of how many; ``enough`` says whether it may be compared with another."""

    count: int
    n: int
    rate: float | None
    ci95: tuple[float, float] | None
    enough: bool

    @classmethod
    def of(cls, rate: Rate) -> RateOut:
        """Return a rate as it is sent."""
        found = rate.estimate
        return cls(
            count=rate.hits, n=found.n, rate=found.value, ci95=found.ci95, enough=found.enough
        )


class SavedOut(BaseModel):
    """What later answers decided; ``pending`` may still come, ``unknown`` came to nothing."""

    saved: int
    not_saved: int
    pending: int
    unknown: int
    of_decided: RateOut


class ChangeOut(BaseModel):
    """Answers of one metric before the follow-up, and of the same customers after it."""

    metric: Literal["nps", "csat", "ces"]
    n: int
    before: float
    after: float
    better: int
    worse: int


class WorthOut(BaseModel):
    """What it was worth, in one currency."""

    amount: str
    currency: str


class LearnedOut(BaseModel):
    """Causes of resolved tasks, whether they were avoidable, and what it was good for."""

    resolved: int
    causes: dict[CauseArea, int]
    avoidable: RateOut = Field(description="among those of which it is known")
    avoidable_unknown: int
    benefits: dict[Benefit, int]
    worth: list[WorthOut]


class ClosureOut(BaseModel):
    """Three rates of the tasks that opened in a period, and what became of the customers."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    contacted: RateOut = Field(description="the customer was reached")
    closed_by_staff: RateOut = Field(description="staff ended the task, and it is ended still")
    confirmed_by_customer: RateOut = Field(
        description="the customer said that it is settled; staff's word does not count"
    )
    asked: int
    denied: int = Field(description="the customer said at least once that it is not settled")
    saved: SavedOut
    before_and_after: list[ChangeOut]
    learned: LearnedOut


def closure_out(closure: Closure, days: tuple[date, date]) -> ClosureOut:
    """Return the rates as they are sent."""
    saved = closure.saved
    return ClosureOut(
        first=days[0],
        last=days[1],
        contacted=RateOut.of(closure.contacted),
        closed_by_staff=RateOut.of(closure.closed_by_staff),
        confirmed_by_customer=RateOut.of(closure.confirmed_by_customer),
        asked=closure.counts.asked,
        denied=closure.counts.denied,
        saved=SavedOut(
            saved=saved.saved,
            not_saved=saved.not_saved,
            pending=saved.pending,
            unknown=saved.unknown,
            of_decided=RateOut.of(saved.rate),
        ),
        before_and_after=[
            ChangeOut(
                metric=change.metric,
                n=change.n,
                before=change.before,
                after=change.after,
                better=change.better,
                worse=change.worse,
            )
            for change in closure.changes
        ],
        learned=_learned(closure.learned),
    )


def _learned(found: Learned) -> LearnedOut:
    return LearnedOut(
        resolved=found.resolved,
        causes={area: found.causes.get(area, 0) for area in get_args(CauseArea)},
        avoidable=RateOut.of(found.avoidable),
        avoidable_unknown=found.unknown,
        benefits={one: found.benefits.get(one, 0) for one in get_args(Benefit)},
        worth=[
            WorthOut(amount=f"{amount:f}", currency=currency)
            for currency, amount in found.worth.items()
        ],
    )
