"""Reading how the promises of a period were kept, scheme by scheme."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from services.loop.tasks import store
from services.loop.tasks.domain.levels import ServiceLevel, Timed, level_of
from services.loop.tasks.store.levels import timed_between
from shared.db.transaction import Reading


async def service_levels(
    view: Reading, days: tuple[date, date], *, now: datetime
) -> Sequence[ServiceLevel]:
    """Return the levels of the tasks that opened on these days (UTC), by scheme."""
    since, last = (datetime.combine(day, time(), UTC) for day in days)
    by_scheme: dict[str, list[Timed]] = defaultdict(list)
    for one in await timed_between(view, since, last + timedelta(days=1)):
        by_scheme[one.scheme.id].append(one)
    refs = {one.scheme for found in by_scheme.values() for one in found}
    schemes = await store.schemes_of(view, refs)
    hours = {ref: scheme.hours for ref, scheme in schemes.items()}
    latest = {ref.id: schemes[ref] for ref in sorted(refs, key=lambda ref: ref.version)}
    return [
        level_of(latest[scheme_id], by_scheme[scheme_id], hours, now=now)
        for scheme_id in sorted(by_scheme)
    ]
