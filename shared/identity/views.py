"""Who saw whose personal data: a line in the audit trail per viewer, customer and hour.

Which customer is said by their pseudonym, so that the trail itself holds nothing personal.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from shared.db.base import among
from shared.errors import TryLater
from shared.identity import audit
from shared.identity.tables import audit as lines
from shared.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from shared.db.transaction import Database, Reading, Transaction
    from shared.identity.principal import Principal

VIEWED: Final = "person.viewed"
SAME_LOOK: Final = timedelta(hours=1)
"""For so long looking again at the same thing is one look."""

log = get_logger(__name__)

_Details = dict[str, dict[str, object]]


async def note_views(
    database: Database,
    persons: Mapping[str, str | None],
    *,
    by: Principal,
    via: str,
    now: datetime,
) -> None:
    """Write down who sees these customers, and on which task's account, where there is one."""
    await _note(database, VIEWED, _details(persons, via), by=by, now=now)


async def note_views_in(
    tx: Transaction,
    persons: Mapping[str, str | None],
    *,
    by: Principal,
    via: str,
    now: datetime,
) -> None:
    """Write it down in a transaction that stands or falls with what is shown."""
    await _note_in(tx, VIEWED, _details(persons, via), by=by, now=now)


async def note_opening(
    database: Database, action: str, subject: str, *, by: Principal, now: datetime
) -> None:
    """Write down who opened something that may hold personal data, once for one look."""
    await _note(database, action, {subject: {}}, by=by, now=now)


async def _note(
    database: Database, action: str, seen: _Details, *, by: Principal, now: datetime
) -> None:
    """Write it down in a transaction of its own.

    What is to be seen is shown also while the database takes nothing, because nobody is to
    call a customer without knowing what they said; then the log says who saw whom.
    """
    async with database.reading() as view:
        known = await _known(view, action, seen, by=by, now=now)
    if not seen.keys() - known:
        return
    try:
        async with database.transaction() as tx:
            await _note_in(tx, action, seen, by=by, now=now)
    except TryLater:
        fresh = sorted(seen.keys() - known)
        log.warning("audit.not_recorded", viewer=by.id, action=action, subjects=fresh)


async def _note_in(
    tx: Transaction, action: str, seen: _Details, *, by: Principal, now: datetime
) -> None:
    known = await _known(tx, action, seen, by=by, now=now)
    for subject, detail in seen.items():
        if subject not in known:
            await audit.record(tx, by, action, subject, detail, now=now)


async def _known(
    view: Reading, action: str, subjects: Collection[str], *, by: Principal, now: datetime
) -> set[str]:
    """Return those of whom a look is written down already."""
    if not subjects:
        return set()
    rows = await view.all(
        select(lines.c.subject).where(
            among(lines.c.subject, sorted(subjects), view.dialect),
            lines.c.action == action,
            lines.c.actor_id == by.id,
            lines.c.at > now - SAME_LOOK,
        )
    )
    return {row.subject for row in rows}


def _details(persons: Mapping[str, str | None], via: str) -> _Details:
    return {
        ref: {"via": via} if task_id is None else {"via": via, "task": task_id}
        for ref, task_id in persons.items()
    }
