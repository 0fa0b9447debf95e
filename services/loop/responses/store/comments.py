"""Reading responses for their comments: by time, by id, by day, or drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    and_,
    func,
    or_,
    select,
)

from services.loop.responses.domain import SAMPLE_SOURCE, Response
from services.loop.responses.store.rows import response_of
from services.loop.responses.tables import responses
from shared.db.transaction import Reading


async def with_comment(
    view: Reading,
    *,
    since: datetime,
    only: Callable[[ColumnElement[str]], ColumnElement[bool]] | None = None,
    before: tuple[datetime, str] | None,
    most: int,
) -> Sequence[Response]:
    """Return answers with a comment given since then, the latest first, without samples.

    ``only`` makes a condition out of the column of their ids.
    """
    column = responses.c
    statement = (
        select(responses)
        .where(
            column.has_comment.is_(True),
            column.answered_at >= since,
            column.source != SAMPLE_SOURCE,
            *([only(column.id)] if only else []),
        )
        .order_by(column.answered_at.desc(), column.id.desc())
        .limit(most)
    )
    if before is not None:
        moment, response_id = before
        statement = statement.where(
            or_(
                column.answered_at < moment,
                and_(column.answered_at == moment, column.id < response_id),
            )
        )
    return [response_of(row) for row in await view.all(statement)]


async def draw_commented(
    view: Reading,
    *,
    since: datetime,
    only: Callable[[ColumnElement[str]], ColumnElement[bool]],
    chance: float,
) -> Response | None:
    """Return one of the answers with a comment given since then, without samples; None of none.

    Each is as likely as every other where ``chance`` may be any number from 0 up to 1.
    """
    column = responses.c
    among_these = (
        column.has_comment.is_(True),
        column.answered_at >= since,
        column.source != SAMPLE_SOURCE,
        only(column.id),
    )
    n = int(await view.scalar(select(func.count(column.id)).where(*among_these)) or 0)
    row = await view.first(
        select(responses)
        .where(*among_these)
        .order_by(column.answered_at, column.id)
        .offset(int(chance * n))
        .limit(1)
    )
    return None if row is None else response_of(row)


async def commented(view: Reading) -> tuple[int, str]:
    """Return how many responses have a comment, and the last one's id."""
    row = await view.first(
        select(func.count().label("n"), func.max(responses.c.id).label("last")).where(
            responses.c.has_comment
        )
    )
    return (row.n, row.last or "") if row is not None else (0, "")


async def commented_after(
    view: Reading, after: str, *, until: str, most: int
) -> Sequence[Response]:
    """Return responses with a comment from behind one id up to another, in that order."""
    rows = await view.all(
        select(responses)
        .where(responses.c.id > after, responses.c.id <= until, responses.c.has_comment)
        .order_by(responses.c.id)
        .limit(most)
    )
    return [response_of(row) for row in rows]


async def commented_between(
    view: Reading, first: datetime, before: datetime, *, after: str, most: int
) -> Sequence[Response]:
    """Return responses with a comment that were answered then, from behind one id on."""
    rows = await view.all(
        select(responses)
        .where(
            responses.c.answered_at >= first,
            responses.c.answered_at < before,
            responses.c.id > after,
            responses.c.has_comment,
        )
        .order_by(responses.c.id)
        .limit(most)
    )
    return [response_of(row) for row in rows]
