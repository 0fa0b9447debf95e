"""A revised answer in words: what the customer changed, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from services.loop.pages.task.page import Revision
from services.loop.tasks.domain.facts import (
    Entry,
)
from services.loop.tasks.domain.task import (
    FollowUpTask,
)
from services.loop.tasks.handlers import TaskView
from shared.i18n import Reader
from shared.stats.categories import RANGES, Metric


def revision_of(seen: TaskView, reader: Reader) -> Revision | None:
    """Return the last revision, unless staff ended the task knowing of it."""
    task = seen.task
    last = next((line for line in reversed(seen.history) if line.act == "revise"), None)
    if last is None:
        return None
    record = task.record
    ending = record.resolution or record.closure
    if ending is not None and ending.entry > last.version and not task.is_closed_as_revised:
        return None
    return Revision(
        at=last.at,
        change=_change(last, task, reader),
        meaning=_meaning(last, seen, reader),
    )


def change_in_short(entry: Entry, task: FollowUpTask, reader: Reader) -> Sequence[str]:
    """Return the scores before and after, and why the task stayed open, for the history."""
    before, after = _scores(entry, task, reader)
    said = [
        reader.gettext("%(before)s before, %(after)s now", before=before, after=after)
        if before != after
        else reader.gettext("score as before: %(score)s", score=after)
    ]
    if entry.detail.get("kept_open"):
        said.append(reader.gettext("stays open because of what was promised"))
    if entry.detail.get("sooner"):
        said.append(reader.gettext("due sooner"))
    return said


def _change(entry: Entry, task: FollowUpTask, reader: Reader) -> str:
    before, after = _scores(entry, task, reader)
    if before == after:
        return reader.gettext(
            "The customer answered again; the score is as before: %(score)s.", score=after
        )
    return reader.gettext(
        "The customer changed the answer: %(before)s before, %(after)s now.",
        before=before,
        after=after,
    )


def _meaning(entry: Entry, seen: TaskView, reader: Reader) -> str:
    task, detail = seen.task, entry.detail
    if task.is_closed_as_revised:
        return reader.gettext("It calls for no follow-up any more, so the task was closed.")
    if not task.is_open:
        return (
            reader.gettext("The task had ended before. Please look whether to open it again.")
            if detail.get("calls_for_follow_up")
            else reader.gettext("The task had ended before.")
        )
    if not detail.get("calls_for_follow_up"):
        return reader.gettext(
            "It calls for no follow-up any more. The task stays open because of what was"
            " promised to the customer."
        )
    if any(line.act == "reopen" and line.version == entry.version + 1 for line in seen.history):
        return reader.gettext("It calls for follow-up, so the task is open again.")
    return reader.gettext("It is due sooner now.") if detail.get("sooner") else ""


def _scores(entry: Entry, task: FollowUpTask, reader: Reader) -> tuple[str, str]:
    detail = entry.detail
    metric = detail.get("metric", task.metric)
    return (
        _score(detail.get("score_before"), detail.get("metric_before", metric), reader),
        _score(detail.get("score"), metric, reader),
    )


def _score(score: Any, metric: Any, reader: Reader) -> str:  # noqa: ANN401 - as the history keeps it
    if score is None:
        return reader.gettext("no score")
    return f"{score}/{RANGES[cast('Metric', metric)][1]}"
