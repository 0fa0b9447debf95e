"""How long things are kept, what forgets them, and when it was last looked for what is older.

Customers' data go on the path of every erasure. Everything else has a kind: whatever service
holds some of it says how to count and how to forget what is older than a moment, and its
housekeeping does so.
"""

from __future__ import annotations

import json
from calendar import monthrange
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, get_args

from sqlalchemy import func, select

from shared.identity.facts import fact, facts, keep
from shared.identity.tables import installation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.db.transaction import Reading, Transaction

Kind = Literal["deliveries", "dead_letters", "audit"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MOST_MONTHS: Final = 600
SOON: Final = timedelta(days=30)
"""So far ahead it is said what will go."""

_POLICY: Final = "retention"
_RAN: Final = "retention-ran"
_COUNTS: Final = "retention-counts-"
_OWNERS: Final = ("ingest", "loop", "notify")


@dataclass(frozen=True, kw_only=True)
class Period:
    """What a period may be; None is for ever."""

    least: int
    most: int
    unit: Literal["days", "months"]


PERIODS: Final[Mapping[str, Period]] = {
    "customers_months": Period(least=1, most=MOST_MONTHS, unit="months"),
    # Topics hand a record over again for 30 days, and dead letters go on for longer: so long
    # it must be known what was told of, and which record was settled.
    "deliveries_months": Period(least=6, most=MOST_MONTHS, unit="months"),
    "dead_letters_days": Period(least=30, most=3_650, unit="days"),
    # Nobody is to remove the trace of what they did by a short period.
    "audit_months": Period(least=12, most=MOST_MONTHS, unit="months"),
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How long what is kept; None: for ever."""

    version: int = 1
    months: int | None = 36
    """After the acceptance of a response, until it tells no more whose it is."""
    deliveries_months: int | None = 36
    """After a mail or a call of a webhook was made, with what was captured of it."""
    dead_letters_days: int | None = 90
    """After somebody settled a record that could not be handled."""
    audit_months: int | None = None

    def periods(self) -> dict[str, int | None]:
        """Return each period by its public name."""
        return {
            "customers_months": self.months,
            "deliveries_months": self.deliveries_months,
            "dead_letters_days": self.dead_letters_days,
            "audit_months": self.audit_months,
        }

    def with_periods(self, changed: Mapping[str, int | None], *, version: int) -> Policy:
        """Return the next version, with these periods by their public names."""
        periods = {**self.periods(), **changed}
        months = periods.pop("customers_months")
        return Policy(version=version, months=months, **periods)

    def over_before(self, kind: Kind, now: datetime) -> datetime | None:
        """Return before which moment a thing of this kind must be for its time to be over."""
        if kind == "dead_letters":
            days = self.dead_letters_days
            return None if days is None else now - timedelta(days=days)
        months = self.audit_months if kind == "audit" else self.deliveries_months
        return None if months is None else over_before(now, months)


@dataclass(frozen=True, kw_only=True)
class Expiring:
    """Something of one kind in one service: how much is older, and forgetting it."""

    kind: Kind
    count: Callable[[Reading, datetime], Awaitable[int]]
    """Count what is older than a moment."""
    forget: Callable[[Transaction, datetime, int], Awaitable[int]]
    """Forget at most so many of them and say how many; none says that there are no more."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much of a kind goes, as it was counted at a moment by the period that holds."""

    due: int
    soon: int
    at: datetime


def over_before(now: datetime, months: int) -> datetime:
    """Return the moment so many months ago; the last day of a month that is shorter."""
    month = now.year * 12 + now.month - 1 - months
    year, month = divmod(month, 12)
    day = min(now.day, monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)


async def policy(view: Reading) -> Policy:
    """Return what holds: what somebody said, or what an installation begins with."""
    said = await fact(view, _POLICY)
    return Policy() if said is None else Policy(**json.loads(said))


async def note_policy(tx: Transaction, new: Policy, *, now: datetime) -> None:
    """Let other periods hold from now on."""
    await keep(tx, _POLICY, json.dumps(asdict(new)), now)


async def last_run(view: Reading) -> datetime | None:
    """Return when everything that was too old had last been found, if ever."""
    said = await fact(view, _RAN)
    return None if said is None else datetime.fromisoformat(said)


async def note_run(tx: Transaction, *, now: datetime) -> None:
    """Write that everything that is too old by now has been found."""
    await keep(tx, _RAN, now.isoformat(), now)


async def note_counts(
    tx: Transaction,
    owner: str,
    counted: Mapping[Kind, tuple[int, int]],
    *,
    version: int,
    now: datetime,
) -> None:
    """Write what a service counted of each kind, due and soon, by one version of the policy."""
    said = {"version": version, "at": now.isoformat(), "counted": dict(counted)}
    await keep(tx, f"{_COUNTS}{owner}", json.dumps(said), now)


async def counts(view: Reading) -> dict[Kind, Counts]:
    """Return what all services counted by the policy that holds; what none has is absent.

    Each role reads its own tables only, so each counts for itself and leaves the sum to us.
    """
    version = (await policy(view)).version
    found: dict[Kind, Counts] = {}
    said = await facts(view, *(f"{_COUNTS}{owner}" for owner in _OWNERS))
    for text in said.values():
        one = json.loads(text)
        if one["version"] != version:
            continue
        at = datetime.fromisoformat(one["at"])
        for kind, (due, soon) in one["counted"].items():
            before = found.get(kind, Counts(due=0, soon=0, at=at))
            found[kind] = Counts(
                due=before.due + due, soon=before.soon + soon, at=min(before.at, at)
            )
    return found


async def begun_at(view: Reading) -> datetime | None:
    """Return since when there has been an installation: the age of the oldest fact about it."""
    oldest: datetime | None = await view.scalar(select(func.min(installation.c.changed_at)))
    return oldest
