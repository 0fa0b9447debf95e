"""Which responses are older than they are to be, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, literal_column, select

from services.ingest.tables import responses
from shared.db.base import among
from shared.identity.erasure import FORGOTTEN
from shared.identity.tables import person_keys

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

    from shared.db.transaction import Reading

_OPEN: Final = "task_open"
# Literally, as the indexes of these rows say it.
_KEPT: Final = responses.c.sealed_person != literal_column(f"'{FORGOTTEN}'")
_HAS_OPEN_TASK: Final = responses.c.state == literal_column(f"'{_OPEN}'")
_OWNER: Final = func.coalesce(person_keys.c.belongs_to, responses.c.person_ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """How much is older than a moment."""

    persons: int
    responses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What of one person is older than a moment."""

    response_ids: Sequence[str]
    whole: bool
    """Whether nothing of theirs is younger."""
    has_open_task: bool


def _of_persons(*columns: Any) -> Select[Any]:  # noqa: ANN401 - whatever can be selected
    return select(*columns).select_from(
        responses.outerjoin(person_keys, person_keys.c.ref == responses.c.person_ref)
    )


def _old(before: datetime) -> ColumnElement[bool]:
    """Compare what is still sealed; a column that is NULL holds nothing to forget."""
    return and_(responses.c.received_at < before, _KEPT)


def _busy() -> Select[Any]:
    return _of_persons(_OWNER).where(_HAS_OPEN_TASK)


async def aged(view: Reading, *, before: datetime) -> Aged:
    """Count whose time is over, without those whose open task still needs them."""
    row = await view.first(
        _of_persons(func.count(_OWNER.distinct()).label("persons"), func.count().label("n"))
        .where(_old(before))
        .where(_OWNER.not_in(_busy()))
    )
    return Aged(persons=row.persons, responses=row.n) if row else Aged(persons=0, responses=0)


async def waiting(view: Reading, *, before: datetime) -> int:
    """Count the persons whose time is over and whose open task still needs them."""
    count: int = await view.scalar(
        _of_persons(func.count(_OWNER.distinct()))
        .where(_old(before))
        .where(_OWNER.in_(_busy()))
    )
    return count


async def aged_persons(view: Reading, *, before: datetime, limit: int) -> list[str]:
    """Return the next persons of whom something is to go, in order."""
    rows = await view.all(
        _of_persons(_OWNER.label("ref"))
        .where(_old(before))
        .where(_OWNER.not_in(_busy()))
        .distinct()
        .order_by(_OWNER)
        .limit(limit)
    )
    return [row.ref for row in rows]


async def expired(view: Reading, refs: Sequence[str], *, before: datetime) -> Expired:
    """Return what of one person, under all their pseudonyms, is older than that moment."""
    rows = await view.all(
        select(
            responses.c.id,
            responses.c.received_at,
            responses.c.state,
            responses.c.sealed_person,
        )
        .where(among(responses.c.person_ref, refs, view.dialect))
        .order_by(responses.c.id)
    )
    old = [row for row in rows if row.received_at < before]
    return Expired(
        response_ids=[row.id for row in old if row.sealed_person not in {None, FORGOTTEN}],
        whole=bool(old) and len(old) == len(rows),
        has_open_task=any(row.state == _OPEN for row in rows),
    )
