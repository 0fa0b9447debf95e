"""Responses and score roll-ups in and out of the database, a whole poll at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    bindparam,
    case,
    delete,
    false,
    func,
    or_,
    select,
    true,
    update,
)

from services.loop.journey.domain import UNKNOWN, Selection
from services.loop.responses.domain import SAMPLE_SOURCE, Cell, Response, Sums
from services.loop.responses.store.comments import (
    commented,
    commented_after,
    commented_between,
    draw_commented,
    with_comment,
)
from services.loop.responses.store.rows import MEMBERS, response_of, row_of
from services.loop.responses.tables import responses, score_rollups
from shared.db.base import among
from shared.db.rollups import add_to_rollups
from shared.db.transaction import Reading, Transaction
from shared.identity.erasure import FORGOTTEN
from shared.identity.sample import Sample
from shared.stats.categories import Metric

__all__ = [
    "Dimension",
    "Duty",
    "InTheClear",
    "ScoreFilter",
    "add_all",
    "commented",
    "commented_after",
    "commented_between",
    "draw_commented",
    "find",
    "find_all",
    "find_to_change",
    "first_rated_after",
    "first_rated_between",
    "forget",
    "has_response_of",
    "has_sample",
    "in_the_clear",
    "is_no_sample",
    "move_rollups",
    "of_person",
    "of_persons",
    "rated_comments",
    "received_between",
    "remove_all",
    "replace_all",
    "seal_all",
    "still_named",
    "sums_by",
    "with_comment",
]

Dimension = Literal["touchpoint", "segment", "product", "channel", "reason"]
Duty = Literal["department", "owner"]
"""What a score can be grouped by besides: who answers for the touchpoint now."""

_SUMS = tuple(member.name for member in fields(Sums))


@dataclass(frozen=True, kw_only=True)
class ScoreFilter:
    """Which roll-ups to add up: always one metric and one measurement."""

    metric: Metric
    measurement: str
    first: date
    last: date
    of: Mapping[Dimension | Duty, str]


@dataclass(frozen=True, kw_only=True)
class InTheClear:
    """A response of before, and the word of its sender that nobody had sealed."""

    id: str
    person_ref: str
    transaction_id: str = field(repr=False)
    sealed_person: str | None = field(repr=False)


async def find(view: Reading, response_id: str) -> Response | None:
    """Return one response, or None."""
    return (await find_all(view, [response_id])).get(response_id)


async def find_all(view: Reading, ids: Sequence[str]) -> Mapping[str, Response]:
    """Return those of these responses that there are, by id."""
    return await _load(view, ids, to_change=False)


async def has_response_of(view: Reading, source: str) -> bool:
    """Tell whether anything came from a source."""
    query = select(responses.c.id).where(responses.c.source == source).limit(1)
    return await view.first(query) is not None


async def has_sample(view: Reading, demo: Sample | None) -> bool:
    """Tell whether any response is a test response or the demo's."""
    if await has_response_of(view, SAMPLE_SOURCE):
        return True
    query = select(responses.c.id).limit(1)
    return demo is not None and bool(
        await view.first(
            query.where(responses.c.source == demo.source, responses.c.id <= demo.last_response)
        )
    )


def is_no_sample(response_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a response was not posted by the installation itself."""
    return ~(
        select(responses.c.id)
        .where(responses.c.id == response_id, responses.c.source == SAMPLE_SOURCE)
        .exists()
    )


async def of_person(view: Reading, person_ref: str, *, most: int) -> Sequence[Response]:
    """Return a person's latest answers, the last one first."""
    rows = await view.all(
        select(responses)
        .where(responses.c.person_ref == person_ref)
        .order_by(responses.c.answered_at.desc(), responses.c.id.desc())
        .limit(most)
    )
    return [response_of(row) for row in rows]


async def of_persons(view: Reading, person_refs: Sequence[str]) -> Sequence[Response]:
    """Return all answers under these pseudonyms, the first one first."""
    rows = await view.all(
        select(responses)
        .where(among(responses.c.person_ref, person_refs, view.dialect))
        .order_by(responses.c.answered_at, responses.c.id)
    )
    return [response_of(row) for row in rows]


async def received_between(
    view: Reading, first: datetime, last: datetime, *, most: int
) -> Sequence[Response]:
    """Return what arrived from ``first`` to ``last``, at most the latest, in that order."""
    column = responses.c
    rows = await view.all(
        select(responses)
        .where(column.received_at.between(first, last))
        .order_by(column.received_at.desc(), column.id.desc())
        .limit(most)
    )
    return [response_of(row) for row in reversed(rows)]


def rated_comments(
    wanted: ScoreFilter,
    meant: Sequence[tuple[Dimension, Collection[str]]],
    *,
    dialect: str,
    most: int,
) -> Select[tuple[str, str]]:
    """Return the query of the latest scored answers with a comment, as ids and categories.

    It is for other rooms to join. ``meant`` narrows to codes as they were sent.
    """
    column = responses.c
    day = timedelta(days=1)
    return (
        select(column.id, column.category)
        .where(
            column.has_comment,
            column.category.is_not(None),
            column.metric == wanted.metric,
            column.measurement == wanted.measurement,
            column.answered_at >= datetime.combine(wanted.first, time(), tzinfo=UTC),
            column.answered_at < datetime.combine(wanted.last + day, time(), tzinfo=UTC),
            column.source != SAMPLE_SOURCE,
            *(
                among(func.coalesce(column[name], UNKNOWN), sorted(codes), dialect)
                for name, codes in meant
            ),
        )
        .order_by(column.answered_at.desc(), column.id.desc())
        .limit(most)
    )


async def find_to_change(tx: Transaction, ids: Sequence[str]) -> Mapping[str, Response]:
    """Return those of these responses that there are; nobody else may change them meanwhile."""
    return await _load(tx, ids, to_change=True)


def first_rated_between(
    *,
    person_ref: ColumnElement[str],
    besides: ColumnElement[str],
    after: ColumnElement[Any],
    until: ColumnElement[Any],
) -> ScalarSelect[Any]:
    """Return, as part of another statement, the id of a person's first scored answer then.

    It is another one than ``besides``, given after ``after`` and up to ``until``.
    """
    return (
        select(responses.c.id)
        .where(
            responses.c.person_ref == person_ref,
            responses.c.id != besides,
            responses.c.category.is_not(None),
            responses.c.answered_at > after,
            responses.c.answered_at <= until,
        )
        .order_by(responses.c.answered_at, responses.c.id)
        .limit(1)
        .scalar_subquery()
    )


async def first_rated_after(
    view: Reading, *, person_ref: str, besides: str, after: datetime
) -> Response | None:
    """Return a person's first scored answer after that moment, other than ``besides``."""
    row = await view.first(
        select(responses)
        .where(
            responses.c.person_ref == person_ref,
            responses.c.id != besides,
            responses.c.category.is_not(None),
            responses.c.answered_at > after,
        )
        .order_by(responses.c.answered_at, responses.c.id)
        .limit(1)
    )
    return None if row is None else response_of(row)


async def add_all(tx: Transaction, new: Sequence[Response]) -> None:
    """Add responses that are not there yet."""
    if new:
        await tx.execute(responses.insert(), [row_of(response) for response in new])


async def replace_all(tx: Transaction, revised: Sequence[Response]) -> None:
    """Replace the facts of responses that are there."""
    if revised:
        await tx.execute(
            update(responses)
            .where(responses.c.id == bindparam("this_id"))
            .values({name: bindparam(name) for name in MEMBERS if name != "id"}),
            [{**row_of(response), "this_id": response.id} for response in revised],
        )


async def remove_all(tx: Transaction, ids: Sequence[str]) -> None:
    """Forget these responses."""
    if ids:
        await tx.execute(delete(responses).where(among(responses.c.id, ids, tx.dialect)))


async def still_named(
    view: Reading, dimension: Dimension, codes: Collection[str]
) -> frozenset[str]:
    """Return those of these codes that a response names."""
    if not codes:
        return frozenset()
    column = responses.c[dimension]
    rows = await view.all(
        select(column.label("code"))
        .where(among(column, sorted(codes), view.dialect))
        .distinct()
    )
    return frozenset(row.code for row in rows)


async def forget(tx: Transaction, *, persons: Sequence[str], ids: Sequence[str]) -> int:
    """Empty what is personal in the responses of these persons, and in these responses.

    Return in how many there was anything. What they count stays.
    """
    about = or_(
        among(responses.c.person_ref, persons, tx.dialect),
        among(responses.c.id, ids, tx.dialect),
    )
    emptied = await tx.execute(
        update(responses)
        .where(
            about,
            or_(
                responses.c.sealed_person != FORGOTTEN,
                responses.c.transaction_id.is_not(None),
            ),
        )
        .values(sealed_person=FORGOTTEN, transaction_id=None)
    )
    return emptied.rowcount


async def in_the_clear(tx: Transaction, *, most: int) -> Sequence[InTheClear]:
    """Return responses of before whose transaction stands in the clear, locked."""
    rows = await tx.all(
        select(
            responses.c.id,
            responses.c.person_ref,
            responses.c.transaction_id,
            responses.c.sealed_person,
        )
        .where(responses.c.transaction_id.is_not(None))
        .order_by(responses.c.id)
        .limit(most)
        .with_for_update()
    )
    return [InTheClear(**row._asdict()) for row in rows]


async def seal_all(tx: Transaction, sealed: Mapping[str, str | None]) -> None:
    """Write these documents, by response, in the place of what stood in the clear."""
    if sealed:
        await tx.execute(
            update(responses)
            .where(responses.c.id == bindparam("this_id"))
            .values(transaction_id=None, sealed_person=bindparam("document")),
            [{"this_id": one, "document": document} for one, document in sealed.items()],
        )


async def move_rollups(tx: Transaction, changes: Mapping[Cell, Sums]) -> None:
    """Add these changes to the roll-ups, whichever of them exist."""
    await add_to_rollups(tx, score_rollups, changes, sums=_SUMS)


async def sums_by(
    view: Reading,
    wanted: ScoreFilter,
    group: Dimension | Literal["day"] | None,
    *,
    meant: Sequence[tuple[Dimension, Selection]],
) -> Mapping[Any, Sums]:
    """Add up the roll-ups per value of ``group``; without one there is one sum, under None.

    ``meant`` is what the filter means in codes as they were sent.
    """
    columns = score_rollups.c
    statement = select(*(func.sum(columns[name]).label(name) for name in _SUMS)).where(
        columns.metric == wanted.metric,
        columns.measurement == wanted.measurement,
        columns.day.between(wanted.first, wanted.last),
        *(_among(columns[name], selection, view.dialect) for name, selection in meant),
    )
    if group is not None:
        statement = statement.add_columns(columns[group].label("value")).group_by(
            columns[group]
        )
    return {
        (row.value if group is not None else None): Sums(
            **{name: int(getattr(row, name) or 0) for name in _SUMS}
        )
        for row in await view.all(statement)
    }


def _among(
    column: ColumnElement[str], selection: Selection, dialect: str
) -> ColumnElement[bool]:
    found = among(column, sorted(selection.codes), dialect)
    # Turned around by hand: "not equal to any of them" would be something else.
    return case((found, false()), else_=true()) if selection.all_but else found


async def _load(view: Reading, ids: Sequence[str], *, to_change: bool) -> dict[str, Response]:
    if not ids:
        return {}
    statement = select(responses).where(among(responses.c.id, ids, view.dialect))
    if to_change:
        # In one order everywhere, so that two workers never wait for each other.
        statement = statement.order_by(responses.c.id).with_for_update()
    return {row.id: response_of(row) for row in await view.all(statement)}
