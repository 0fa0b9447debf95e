"""Three rates side by side, because each flatters the one before: contacted, closed, confirmed.

What staff closed is their own word; what the customer confirmed is proof. Whether a customer
was saved is decided later, by the next answer, and pending until then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from services.loop.journey.handlers import meant_by
from services.loop.tasks import store
from services.loop.tasks.store import BeforeAndAfter, ClosureCounts, ClosureFilter, Outcome
from shared.db.transaction import Reading
from shared.stats.categories import Metric
from shared.stats.intervals import Estimate, share


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many of how many, with what that says at all."""

    hits: int
    estimate: Estimate


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What later answers say of customers whose matter was resolved."""

    saved: int
    not_saved: int
    pending: int
    unknown: int
    """No answer came in time: nobody knows."""

    @property
    def rate(self) -> Rate:
        """Return the share of the saved among those that an answer decided."""
        return _rate(self.saved, self.saved + self.not_saved)


@dataclass(frozen=True, kw_only=True)
class Change:
    """The same customers before and after: answers of one metric, each beside its later one."""

    metric: Metric
    n: int
    before: float
    after: float
    better: int
    worse: int


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What resolved tasks say of causes and of what following up was good for."""

    resolved: int
    causes: Mapping[str, int]
    avoidable: Rate
    """Of those of which it is known."""
    unknown: int
    benefits: Mapping[str, int]
    worth: Mapping[str, Decimal]
    """What it was worth, by currency."""


@dataclass(frozen=True, kw_only=True)
class Closure:
    """How well following up worked in a period."""

    counts: ClosureCounts
    contacted: Rate
    closed_by_staff: Rate
    confirmed_by_customer: Rate
    saved: Saved
    changes: tuple[Change, ...]
    learned: Learned


async def closure_rates(
    view: Reading,
    days: tuple[date, date],
    of: Mapping[str, str],
    *,
    theme: str | None = None,
    now: datetime,
) -> Closure:
    """Return the rates of the tasks that opened on these UTC days, both included.

    ``of`` narrows by touchpoint and segment; codes that mean the same count as one. ``theme``
    narrows to the tasks whose answer touches it.
    """
    wanted = await _wanted(view, days, of, theme)
    counts = await store.closure_counts(view, wanted, now=now)
    pairs = await store.before_and_after(view, wanted, now=now)
    lost = sum(pair.after.is_low for pair in pairs)
    pending = counts.awaited - sum(pair.is_awaited for pair in pairs)
    return Closure(
        counts=counts,
        contacted=_rate(counts.contacted, counts.opened),
        closed_by_staff=_rate(counts.closed, counts.opened),
        confirmed_by_customer=_rate(counts.confirmed, counts.opened),
        saved=Saved(
            saved=len(pairs) - lost,
            not_saved=lost,
            pending=pending,
            unknown=counts.resolved - len(pairs) - pending,
        ),
        changes=_changes(pairs),
        learned=_learned(await store.resolutions_of(view, wanted)),
    )


async def learned_of(
    view: Reading, days: tuple[date, date], of: Mapping[str, str], *, theme: str
) -> Learned:
    """Return what resolved tasks say that opened on these UTC days about one theme."""
    wanted = await _wanted(view, days, of, theme)
    return _learned(await store.resolutions_of(view, wanted))


async def _wanted(
    view: Reading, days: tuple[date, date], of: Mapping[str, str], theme: str | None
) -> ClosureFilter:
    meant = await meant_by(view, of)
    first, last = days
    return ClosureFilter(
        since=datetime.combine(first, time(), tzinfo=UTC),
        before=datetime.combine(last + timedelta(days=1), time(), tzinfo=UTC),
        touchpoints=meant.get("touchpoint"),
        segments=meant.get("segment"),
        products=meant.get("product"),
        theme=theme,
    )


def _learned(ends: Sequence[Outcome]) -> Learned:
    worth: dict[str, Decimal] = defaultdict(Decimal)
    for end in ends:
        if end.worth is not None and end.currency is not None:
            worth[end.currency] += Decimal(end.worth)
    avoidable = Counter(end.avoidable for end in ends)
    return Learned(
        resolved=len(ends),
        causes=Counter(end.cause_area for end in ends),
        avoidable=_rate(avoidable["yes"], avoidable["yes"] + avoidable["no"]),
        unknown=avoidable["unknown"],
        benefits=Counter(benefit for end in ends for benefit in end.benefits),
        worth=dict(sorted(worth.items())),
    )


def _rate(hits: int, n: int) -> Rate:
    return Rate(hits=hits, estimate=share(hits=hits, n=n))


def _changes(pairs: Sequence[BeforeAndAfter]) -> tuple[Change, ...]:
    """Put answers beside later ones of the same metric; others cannot be compared."""
    scores: dict[Metric, list[tuple[int, int]]] = defaultdict(list)
    for pair in pairs:
        after = pair.after.score
        if pair.score is not None and after is not None and pair.metric == pair.after.metric:
            scores[pair.metric].append((pair.score, after))
    return tuple(
        Change(
            metric=metric,
            n=len(found),
            before=sum(before for before, _ in found) / len(found),
            after=sum(after for _, after in found) / len(found),
            better=sum(after > before for before, after in found),
            worse=sum(after < before for before, after in found),
        )
        for metric, found in sorted(scores.items())
    )
