"""Tasks as the lines of the queue, and the names that stand in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.loop.pages.labels import STATES
from services.loop.pages.queue.choices import Names
from services.loop.pages.queue.page import Line
from services.loop.pages.shapes import Clock, Words, customer_now, mark_of, words_of
from services.loop.responses.store import find_all
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.handlers import QueueRow, TaskView
from shared.db.transaction import Reading


async def lines_of(
    view: Reading,
    rows: Sequence[QueueRow],
    *,
    names: Names,
    now: datetime,
) -> Sequence[Line]:
    """Return tasks as lines."""
    tasks = [row.view.task for row in rows]
    responses = await find_all(view, [task.response_id for task in tasks])
    languages = {found.id: found.language for found in responses.values()}
    return [
        _line(
            row,
            now=now,
            language=languages.get(row.view.task.response_id),
            touchpoint=names.touchpoints.get(
                row.view.task.touchpoint or "", row.view.task.touchpoint
            ),
            segment=names.segments.get(row.view.task.segment or "", row.view.task.segment),
            themes=[
                names.themes.get(found.theme_id, found.theme_id) for found in row.view.themes
            ],
        )
        for row in rows
    ]


def _line(
    row: QueueRow,
    *,
    now: datetime,
    language: str | None,
    touchpoint: str | None,
    segment: str | None,
    themes: Sequence[str],
) -> Line:
    seen = row.view
    task = seen.task
    return Line(
        id=task.id,
        version=task.version,
        href=f"/tasks/{task.id}",
        mark=mark_of(task.metric, task.score),
        customer=customer_now(seen.personal, erased=seen.erased, refused=seen.refused),
        restricted=seen.restricted,
        words=_words(seen, language),
        themes=themes,
        touchpoint=touchpoint,
        segment=segment,
        owner=seen.owner.name,
        unclaimed=not task.is_claimed,
        state=STATES[task.state],
        letters=row.letters,
        tries=row.tries,
        repeat=row.repeat,
        put_off_until=task.snoozed_until if task.is_snoozed(now) else None,
        clock=Clock(at=task.next_due_at, now=now) if task.is_open else None,
        first_contact=row.next_promise == "first_contact",
        ended_at=task.ended_at,
        in_time=_in_time(task),
        waits=row.customer_waits,
    )


def _words(seen: TaskView, language: str | None) -> Words:
    if seen.restricted:
        return Words()
    if seen.erased:
        return Words(erased=True)
    return words_of(seen.personal, language) if seen.personal else Words()


def _in_time(task: FollowUpTask) -> bool:
    return task.ended_at is not None and task.ended_at <= task.due_at
