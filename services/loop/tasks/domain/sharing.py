"""What others get out of a task: praise for whoever earned it, and an example to learn from."""

from __future__ import annotations

from dataclasses import replace

from services.loop.tasks.domain.acts import Recognise, ShareExample
from services.loop.tasks.domain.changes import Change, members_of_done, refusal
from services.loop.tasks.domain.facts import (
    Recognised,
)
from services.loop.tasks.domain.task import (
    Done,
    FollowUpTask,
    Recognition,
)


def share(task: FollowUpTask, act: Recognise | ShareExample, done: Done) -> Change:
    """Pass praise on, or mark an ended task as an example; nobody praises themselves."""
    record = task.record
    if isinstance(act, ShareExample):
        example = done if act.shared else None
        return Change(
            replace(task, record=replace(record, example=example)),
            detail={"shared": act.shared},
        )
    if act.owner.id == done.by.id:
        raise refusal(task, act, "Praise is passed on to somebody else.", ["another_person"])
    recognition = Recognition(**members_of_done(done), to=act.owner)
    recognitions = (*record.recognitions, recognition)
    return Change(
        replace(task, record=replace(record, recognitions=recognitions)),
        detail={"to": act.owner.id},
        words={"note": act.note},
        fact=Recognised(recognition=recognition),
    )
