"""Trying rules, schemes and calendars out on the last 90 days, before they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from services.loop.journey.handlers import owners_of
from services.loop.journey.handlers.calendars import refuse_unusable
from services.loop.journey.store.calendars import calendar_of, current_calendars
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import received_between
from services.loop.tasks import store
from services.loop.tasks.domain.planning import Case, Cases, is_unhappy, plan
from services.loop.tasks.domain.rulebooks import Document
from services.loop.tasks.domain.rules import RuleBook, rules_from
from services.loop.tasks.domain.schemes import RecoveryScheme, scheme_from
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.domain.trial import Trial, compared
from services.loop.tasks.handlers.placing import circumstances_of, desks_of
from services.loop.tasks.handlers.ruling import check_book
from services.loop.tasks.store.policies import SCHEMES
from services.loop.tasks.store.rulebooks import latest_book
from services.loop.themes.store import themes_of
from shared.db.transaction import Reading
from shared.identity.person_keys import PersonKeys

PERIOD: Final = timedelta(days=90)
MOST_TRIED: Final = 20_000
"""More answers than these are not looked at: a trial is answered while somebody waits."""


async def try_out(
    view: Reading,
    *,
    book: Document | None,
    schemes: Sequence[Mapping[str, Any]],
    calendars: Sequence[Mapping[str, Any]],
    person_keys: PersonKeys,
    now: datetime,
) -> Trial:
    """Return what these documents would have done in the last 90 days; nothing is written.

    What is not given is as it applies now. Answers count as they stand now, owners and absences
    as they were when each answer arrived; limits of open tasks are left aside, since how much
    somebody would have had open depends on work that nobody did.
    """
    for calendar in calendars:
        refuse_unusable(calendar)
    before = await latest_book(view)
    if book is not None:
        await check_book(view, book, before=before.document, schemes=schemes)
    rules = rules_from(book or before.document)
    first = now - PERIOD
    answers = await received_between(view, first, now, most=MOST_TRIED + 1)
    whole = len(answers) <= MOST_TRIED
    answers = answers[-MOST_TRIED:]
    if not whole:
        first = answers[0].received_at
    ids = [response.id for response in answers]
    work = await store.of_responses(view, ids)
    asked = rules.asks("annual_value") or _asks_contact(rules)
    persons = await open_persons(view, person_keys, answers) if asked else {}
    mentions = await themes_of(view, ids) if rules.asks("theme") else {}
    around = await circumstances_of(
        view,
        answers,
        rules,
        themes={one: [found.theme_id for found in rows] for one, rows in mentions.items()},
        persons=persons,
        now=now,
    )
    owners = await owners_of(view, {r.id: (r.touchpoint, r.received_at) for r in answers})
    plans = plan(
        answers,
        book=rules,
        schemes=await _schemes(view, schemes, calendars),
        around=around,
        owners=owners,
        desks=await desks_of(
            view,
            rules,
            [known.contact for known in around.values()],
            owners=owners.values(),
            first=first,
            last=now,
            limits=False,
        ),
        cases=await _cases_before(view, first, rules),
        at=lambda response: response.received_at,
        task_id=lambda response: response.id,
        ended_at=lambda response: _ended_at(work.get(response.id)),
    )
    tasks = {task.id for task in work.values()}
    return compared(
        plans,
        work=work,
        first_owners=await store.first_owners(view, sorted(tasks)),
        first=first,
        last=now,
        responses=len(answers),
        whole=whole,
    )


def _asks_contact(book: RuleBook) -> bool:
    return any(rule.owner.kind == "contact_owner" for rule in book.rules if rule.enabled)


def _ended_at(task: FollowUpTask | None) -> datetime | None:
    return None if task is None else task.ended_at


async def _schemes(
    view: Reading,
    schemes: Sequence[Mapping[str, Any]],
    calendars: Sequence[Mapping[str, Any]],
) -> Mapping[str, RecoveryScheme]:
    """Return the schemes with those that are tried in the place of theirs."""
    documents = {one.id: one.document for one in await SCHEMES.latest(view)}
    documents |= {str(document["id"]): document for document in schemes}
    named = {str(one["calendar"]) for one in documents.values() if one.get("calendar")}
    hours = dict(await current_calendars(view, sorted(named)))
    hours |= {str(document["id"]): calendar_of(document) for document in calendars}
    return {
        scheme_id: scheme_from(document, hours=hours.get(str(document.get("calendar"))))
        for scheme_id, document in documents.items()
    }


async def _cases_before(view: Reading, first: datetime, book: RuleBook) -> Cases:
    """Return the cases that were there when the period began."""
    cases = Cases()
    if book.repeat_within:
        earlier = await store.opened_between(view, first - book.repeat_within, first)
        for task in earlier:
            if is_unhappy(task.metric, task.score):
                case = Case(task_id=task.id, opened_at=task.opened_at, ended_at=task.ended_at)
                cases.add(task.person_ref, case)
    return cases
