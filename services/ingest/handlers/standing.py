"""How each source stands: when it last delivered, and what became of what it sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from services.ingest import store
from services.ingest.domain.sources import TEST, Source, Tally
from services.ingest.store import Secret
from shared.errors import NotFound
from shared.identity.keys import key_sources

if TYPE_CHECKING:
    from shared.db.transaction import Reading
    from shared.sealing import Keyring

DAYS: Final = 7
"""How many days the longer count takes in, today included."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a source, or its twin for trials, sent lately; days are UTC."""

    last_response_at: datetime | None
    accepted_today: int
    accepted_week: int
    today: Sequence[Tally]
    week: Sequence[Tally]
    unread_payloads: int

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to show."""
        return self.last_response_at is None and not self.week and not self.unread_payloads


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A source with its settings and its figures."""

    source: Source
    secrets: Sequence[Secret]
    figures: Figures
    trial: Figures
    """Of the twin that keys for trials post to."""


async def source_names(view: Reading) -> list[str]:
    """Return every source that has settings, a key, responses or tallies, in order."""
    names = {
        *await store.configured_sources(view),
        *await key_sources(view),
        *await store.posting_sources(view),
        *await store.tallied_sources(view),
    }
    return sorted({name.removesuffix(TEST) for name in names})


async def list_standing(
    view: Reading,
    *,
    keyring: Keyring,
    now: datetime,
    limit: int = 200,
    after: str | None = None,
) -> list[Standing]:
    """Return sources in the order of their names, behind the name ``after``."""
    names = [name for name in await source_names(view) if after is None or name > after]
    return [await _standing(view, name, keyring=keyring, now=now) for name in names[:limit]]


async def standing_of(view: Reading, name: str, *, keyring: Keyring, now: datetime) -> Standing:
    """Return how one source stands; raise ``NotFound`` for one of which nothing is known."""
    if name.endswith(TEST) or name not in await source_names(view):
        raise NotFound(
            "There is no such source. It appears with its first key, setting or response."
        )
    return await _standing(view, name, keyring=keyring, now=now)


async def _standing(view: Reading, name: str, *, keyring: Keyring, now: datetime) -> Standing:
    return Standing(
        source=await store.find_source(view, name, keyring=keyring, now=now),
        secrets=await store.secrets_of(view, name, keyring=keyring),
        figures=await _figures(view, name, now=now),
        trial=await _figures(view, f"{name}{TEST}", now=now),
    )


async def _figures(view: Reading, name: str, *, now: datetime) -> Figures:
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=DAYS - 1)
    counts = await store.tallies_of(view, name, first)
    last = await store.last_response_at(view, name)
    # Two counts of an index, of sources that delivered in that time only.
    accepted = [
        0
        if last is None or last < (start := datetime.combine(day, time(), UTC))
        else await store.accepted_since(view, name, start)
        for day in (today, first)
    ]
    return Figures(
        last_response_at=last,
        accepted_today=accepted[0],
        accepted_week=accepted[1],
        today=[tally for day, tally in counts if day == today],
        week=_summed([tally for _, tally in counts]),
        unread_payloads=await store.unread_payloads(view, name),
    )


def _summed(tallies: Sequence[Tally]) -> list[Tally]:
    sums: dict[tuple[str, str], Tally] = {}
    for one in tallies:
        before = sums.get((one.outcome, one.reason))
        n = one.n + (before.n if before else 0)
        sums[one.outcome, one.reason] = Tally(outcome=one.outcome, reason=one.reason, n=n)
    return [sums[place] for place in sorted(sums)]
