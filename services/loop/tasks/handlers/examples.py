"""Good examples: how colleagues helped, without the customer they helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.loop.journey.handlers import meant_by
from services.loop.responses.domain import Personal
from services.loop.responses.handlers import is_forgotten
from services.loop.responses.store import find_all
from services.loop.tasks import store
from services.loop.tasks.domain.facts import (
    Entry,
)
from services.loop.tasks.domain.task import (
    FollowUpTask,
)
from services.loop.tasks.handlers.reading import personal_of
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.store import themes_of
from shared.db.transaction import Reading
from shared.identity.person_keys import PersonKeys

_TOLD = {
    "agreement": ("asked_for", "agreed"),
    "actions": ("what",),
    "contacts": ("note",),
    "resolve": ("root_cause", "lesson"),
}


@dataclass(frozen=True, kw_only=True)
class Example:
    """One ended task to learn from; its words are covered up, and gone with the person."""

    task: FollowUpTask
    shared_at: datetime
    comment: str | None = field(repr=False)
    language: str | None
    told: Sequence[tuple[str, str]] = field(repr=False)
    """What was said and done, in order: what kind of words, and the words."""
    themes: Sequence[str]
    erased: bool = False
    """Whether there were words that nobody can read any more."""


async def list_examples(
    view: Reading,
    *,
    theme: str | None,
    touchpoint: str | None,
    person_keys: PersonKeys,
    after: Sequence[Any] | None,
    most: int,
) -> Sequence[Example]:
    """Return the latest examples, of one theme or touchpoint if asked for."""
    meant = await meant_by(view, {"touchpoint": touchpoint} if touchpoint else {})
    tasks = await store.examples_of(
        view, theme=theme, touchpoints=meant.get("touchpoint"), after=after, most=most
    )
    if not tasks:
        return []
    ids = [task.id for task in tasks]
    keys = await person_keys.for_reading(view, [task.person_ref for task in tasks])
    histories = await store.histories_of(
        view, ids, readable=frozenset(ids), person_keys=person_keys
    )
    answers = await find_all(view, [task.response_id for task in tasks])
    themes = await themes_of(view, [task.response_id for task in tasks])
    return [
        _example(
            task,
            personal_of(task, keys.get(task.person_ref)),
            histories[task.id],
            language=answer.language if answer else None,
            themes=[mention.theme_id for mention in themes[task.response_id]],
            erased=is_forgotten(task, keys),
        )
        for task in tasks
        for answer in [answers.get(task.response_id)]
    ]


def _example(
    task: FollowUpTask,
    personal: Personal | None,
    history: Sequence[Entry],
    *,
    language: str | None,
    themes: Sequence[str],
    erased: bool,
) -> Example:
    known = personal or Personal()
    secrets = secrets_of(known.customer, known.attributes, known.transaction_id)
    told = [
        (name, masked(words[name], secrets) or "")
        for words, names in _spoken(history)
        for name in names
        if words.get(name)
    ]
    example = task.record.example
    return Example(
        task=task,
        shared_at=example.at if example else task.opened_at,
        comment=masked(known.comment, secrets),
        language=language,
        # Without the customer's data nobody knows what to cover up.
        told=told if personal is not None else [],
        themes=themes,
        erased=erased,
    )


def _spoken(history: Sequence[Entry]) -> Sequence[tuple[Mapping[str, str], Sequence[str]]]:
    return [(line.words, _TOLD[line.act]) for line in history if line.act in _TOLD]
