"""Tasks as the lines of the queue, and the names that stand in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.loop.pages.labels import STATES
from services.loop.pages.queue.page import Line
from services.loop.pages.shapes import Clock, Words, customer_of, mark_of, words_of
from services.loop.responses.store import find_all
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.handlers import QueueRow, TaskView
from services.loop.themes.domain import Theme
from shared.db.transaction import Reading
from shared.i18n import Reader


async def lines_of(
    view: Reading,
    rows: Sequence[QueueRow],
    *,
    names: Mapping[str, str],
    segments: Mapping[str, str],
    themes: Mapping[str, str],
    now: datetime,
) -> Sequence[Line]:
    """Return tasks as lines; ``names`` are the touchpoints', the others their own."""
    tasks = [row.view.task for row in rows]
    responses = await find_all(view, [task.response_id for task in tasks])
    languages = {found.id: found.language for found in responses.values()}
    return [
        _line(
            row,
            now=now,
            language=languages.get(row.view.task.response_id),
            touchpoint=names.get(row.view.task.touchpoint or "", row.view.task.touchpoint),
            segment=segments.get(row.view.task.segment or "", row.view.task.segment),
            themes=[themes.get(found.theme_id, found.theme_id) for found in row.view.themes],
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
        customer=replace(customer_of(seen.personal), erased=seen.erased),
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


def theme_names(themes: Sequence[Theme], reader: Reader) -> Mapping[str, str]:
    """Return the themes' names in the reader's language, by id."""
    return {theme.id: theme.name_in(reader.catalogue) for theme in themes}
