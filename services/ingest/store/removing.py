"""Taking sample data away: test responses, and what the demo posted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, delete, false, or_, select

from services.ingest.tables import responses, revisions, tallies
from shared.db.base import among
from shared.identity.keys import SAMPLE_SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.db.transaction import Reading, Transaction
    from shared.identity.sample import Sample


def _is_sample(demo: Sample | None) -> ColumnElement[bool]:
    of_demo = (
        and_(responses.c.source == demo.source, responses.c.id <= demo.last_response)
        if demo is not None
        else false()
    )
    return or_(responses.c.source == SAMPLE_SOURCE, of_demo)


async def has_sample(view: Reading, demo: Sample | None) -> bool:
    """Tell whether any response is sample data."""
    return await view.first(select(responses.c.id).where(_is_sample(demo)).limit(1)) is not None


async def remove_sample(tx: Transaction, demo: Sample | None) -> Sequence[tuple[str, str]]:
    """Remove every sample response; return their ids and persons, the oldest first."""
    rows = await tx.all(
        select(responses.c.id, responses.c.person_ref)
        .where(_is_sample(demo))
        .order_by(responses.c.id)
        .with_for_update()
    )
    ids = [row.id for row in rows]
    await tx.execute(delete(revisions).where(among(revisions.c.response_id, ids, tx.dialect)))
    await tx.execute(delete(responses).where(among(responses.c.id, ids, tx.dialect)))
    await tx.execute(delete(tallies).where(tallies.c.source == SAMPLE_SOURCE))
    return [(row.id, row.person_ref) for row in rows]
