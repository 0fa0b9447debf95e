"""What customers wrote, the latest first: of one theme, or of none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.loop.journey import store as journey
from services.loop.pages.labels import STATES
from services.loop.pages.shapes import Words, mark_of, words_of
from services.loop.pages.themes.page import Said, Voice, Voices
from services.loop.responses.domain import Personal, Response
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import find_all, with_comment
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.store import of_responses
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.handlers import latest_mentions
from services.loop.themes.store import MentionRow
from services.loop.themes.store.mentions import touches_nothing
from shared.db.transaction import Reading
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Scope
from shared.sealing import Keyring
from shared.web.paging import Page, encode_cursor

_AT_ONCE: Final = 20
_FARTHEST: Final = timedelta(days=366)
"""How far back one reads through what touches no theme."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """What it takes to open what lies under seal, and to turn pages."""

    person_keys: PersonKeys
    keyring: Keyring
    caller: Principal
    page: Page
    href: Callable[..., str]
    """Makes the address of this page out of a cursor."""


async def of_theme(view: Reading, theme_id: str, shelf: Shelf) -> Voices:
    """Return the voices on one theme; the evidence is marked."""
    if not shelf.caller.may(Scope.TASKS_READ):
        return _UNREADABLE
    name = f"page/themes/{theme_id}"
    mentions = await latest_mentions(
        view, theme_id, before=_place(shelf, name), most=_AT_ONCE + 1
    )
    shown = mentions[:_AT_ONCE]
    answers = await find_all(view, [mention.response_id for mention in shown])
    return await _voices(
        view,
        shelf,
        name,
        [
            (answers[mention.response_id], mention)
            for mention in shown
            if mention.response_id in answers
        ],
        more=len(mentions) > _AT_ONCE,
    )


async def of_nothing(view: Reading, shelf: Shelf, *, now: datetime) -> Voices:
    """Return the comments that touch no theme."""
    if not shelf.caller.may(Scope.TASKS_READ):
        return _UNREADABLE
    name = "page/themes?without"
    found = await with_comment(
        view,
        since=now - _FARTHEST,
        only=touches_nothing,
        before=_place(shelf, name),
        most=_AT_ONCE + 1,
    )
    return await _voices(
        view,
        shelf,
        name,
        [(answer, None) for answer in found[:_AT_ONCE]],
        more=len(found) > _AT_ONCE,
    )


_UNREADABLE: Final = Voices(may_read=False, lines=(), older=None, newer=None)


def _place(shelf: Shelf, name: str) -> tuple[datetime, str] | None:
    after = shelf.page.after(shelf.keyring, of=name)
    return (datetime.fromisoformat(after[0]), after[1]) if after else None


async def _voices(
    view: Reading,
    shelf: Shelf,
    name: str,
    found: Sequence[tuple[Response, MentionRow | None]],
    *,
    more: bool,
) -> Voices:
    persons = await open_persons(view, shelf.person_keys, [answer for answer, _ in found])
    names = await journey.named(view)
    tasks = await of_responses(view, [answer.id for answer, _ in found])
    last = found[-1][0] if more else None
    return Voices(
        may_read=True,
        lines=[
            _voice(answer, mention, persons.get(answer.id), names, tasks.get(answer.id))
            for answer, mention in found
        ],
        older=None
        if last is None
        else shelf.href(
            cursor=encode_cursor(
                shelf.keyring, [last.answered_at.isoformat(), last.id], of=name
            )
        ),
        newer=shelf.href() if _place(shelf, name) is not None else None,
    )


def _voice(
    answer: Response,
    mention: MentionRow | None,
    person: Personal | None,
    names: Mapping[str, str],
    task: FollowUpTask | None,
) -> Voice:
    evidence = [mention.evidence if mention else None]
    return Voice(
        response_id=answer.id,
        mark=mark_of(answer.metric, answer.score),
        words=without_customer(words_of(person, answer.language, evidence), person),
        answered_at=answer.answered_at,
        touchpoint=names.get(answer.touchpoint or "", answer.touchpoint),
        by=mention.by if mention else None,
        task=f"/tasks/{task.id}" if task else None,
        state=STATES[task.state] if task else None,
    )


def said(answer: Response, person: Personal | None) -> Said:
    """Return a comment as it is shown beside figures; None is an erased person."""
    return Said(
        mark=mark_of(answer.metric, answer.score),
        words=without_customer(words_of(person, answer.language), person),
        answered_at=answer.answered_at,
    )


def without_customer(words: Words, person: Personal | None) -> Words:
    """Cover up who it was: what customers talk about is for many, who they are is not."""
    if person is None:
        return words
    secrets = secrets_of(person.customer, person.attributes, person.transaction_id)
    return replace(
        words,
        text=masked(words.text, secrets),
        pieces=tuple(
            replace(piece, text=masked(piece.text, secrets) or "") for piece in words.pieces
        ),
    )
