"""A poll of responses, taken in: the only file that knows the order of the rooms.

Everything a poll leads to is written in the one transaction it arrives in: facts, sums,
mentions, tasks, announcements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.loop.journey.handlers import note_codes, owners_of
from services.loop.resources import Loop
from services.loop.responses.domain import Response
from services.loop.responses.handlers import (
    is_forgotten,
    keys_of,
    named_by,
    open_person,
    store_responses,
)
from services.loop.tasks.domain.rules import NoAction
from services.loop.tasks.handlers import Opened, index_tasks, open_tasks
from services.loop.themes.handlers import Classifiers, find_mentions, themes_of
from shared.bus.consumer import Arrived
from shared.db.transaction import Transaction
from shared.events.ingest import ResponseReceived, ResponseRevised
from shared.events.loop import ResponseHandled
from shared.faults import fault_point
from shared.identity.erasure import FORGOTTEN
from shared.identity.wishes import Said, note_wishes
from shared.stats.categories import category_of


async def take_in(
    tx: Transaction,
    arrived: Sequence[Arrived],
    *,
    loop: Loop,
    classifiers: Classifiers,
    now: datetime,
) -> None:
    """Take a whole poll in; revisions of one response are taken in one after the other."""
    tests = [one for one in arrived if _event(one).test]
    for one in tests:
        tx.announce(
            _handled_test(_event(one)), key=_event(one).person_ref, at=now, cause=one.envelope
        )
    for each_once in _rounds([one for one in arrived if not _event(one).test]):
        await _take_in(tx, each_once, loop=loop, classifiers=classifiers, now=now)
    fault_point("loop.taken_in")


async def _take_in(
    tx: Transaction,
    arrived: Mapping[str, Arrived],
    *,
    loop: Loop,
    classifiers: Classifiers,
    now: datetime,
) -> None:
    received = [_response(one) for one in arrived.values()]

    keys = await keys_of(tx, loop.person_keys, received)
    # What comes late of somebody who was erased counts, and is kept without them.
    responses = [
        replace(r, sealed_person=FORGOTTEN) if is_forgotten(r, keys) else r for r in received
    ]
    await note_codes(tx, map(named_by, responses), now=now)
    stored = await store_responses(tx, responses)
    owners = await owners_of(
        tx, {r.id: (r.touchpoint, r.received_at) for r in stored.standing.values()}
    )
    # Of what was overtaken on the way the later answer stands, maybe under another person.
    if others := [r for r in stored.standing.values() if r.person_ref not in keys]:
        keys = {**keys, **await keys_of(tx, loop.person_keys, others)}
    persons = {
        r.id: person for r in stored.standing.values() if (person := open_person(r, keys))
    }
    await note_wishes(
        tx,
        [
            Said(person_ref=r.person_ref, at=r.answered_at, customer=persons[r.id].customer)
            for r in stored.current
            if r.id in persons
        ],
    )
    themes = await find_mentions(
        tx,
        stored.current,
        former=stored.former,
        comments={
            r.id: persons[r.id].comment if r.has_comment else None
            for r in stored.current
            if not r.is_sample and (r.id in persons or not r.has_comment)
        },
        classifiers=classifiers,
        person_keys=loop.person_keys,
    )
    if overtaken := [i for i in arrived if i not in themes]:
        found = await themes_of(tx, overtaken)
        themes = {**themes, **{i: [m.theme_id for m in found[i]] for i in overtaken}}
    outcomes = await open_tasks(
        tx,
        list(stored.standing.values()),
        owners=owners,
        causes={response_id: one.envelope for response_id, one in arrived.items()},
        now=now,
        erased={r.id for r in stored.standing.values() if is_forgotten(r, keys)},
        themes=themes,
        persons=persons,
    )

    having = {i: one.task_id for i, one in outcomes.items() if isinstance(one, Opened)}
    fresh = [response for response in stored.current if response.id in having]
    await index_tasks(
        tx,
        fresh,
        tasks=having,
        persons=persons,
        keyring=loop.keyring,
    )

    for response in responses:
        tx.announce(
            _handled(response, outcomes.get(response.id), themes[response.id]),
            key=response.person_ref,
            at=now,
            cause=arrived[response.id].envelope,
        )


def _handled(
    response: Response, outcome: Opened | NoAction | None, themes: Sequence[str]
) -> ResponseHandled:
    became: dict[str, Any]
    match outcome:
        case Opened():
            became = {
                "state": "task_open" if outcome.is_open else "closed",
                "task_id": outcome.task_id,
            }
        case NoAction():
            became = {"state": "no_action", "reason": outcome.reason}
        case None:
            became = {"state": "no_action", "reason": "erased"}
    return ResponseHandled(
        response_id=response.id,
        revision=response.revision,
        themes=list(themes),
        **became,
    )


def _handled_test(event: ResponseReceived | ResponseRevised) -> ResponseHandled:
    """Say that a response was heard that came with a test key; nothing of it is kept."""
    return ResponseHandled(
        response_id=event.response_id,
        revision=event.revision,
        state="no_action",
        reason="test",
    )


def _rounds(arrived: Sequence[Arrived]) -> Iterator[Mapping[str, Arrived]]:
    """Deal the events out so that none of a round's responses appears twice, in order.

    Nearly always this is one round: only a response that is revised within the same poll
    needs another.
    """
    rounds: list[dict[str, Arrived]] = []
    seen: dict[str, int] = {}
    for one in arrived:
        response_id = _event(one).response_id
        turn = seen.get(response_id, 0)
        seen[response_id] = turn + 1
        if turn == len(rounds):
            rounds.append({})
        rounds[turn][response_id] = one
    yield from rounds


def _event(arrived: Arrived) -> ResponseReceived | ResponseRevised:
    event = arrived.event
    if not isinstance(event, ResponseReceived | ResponseRevised):
        raise TypeError(f"{event.TYPE} is no response")
    return event


def _response(arrived: Arrived) -> Response:
    """Leave the wire behind."""
    event = _event(arrived)
    return Response(
        id=event.response_id,
        revision=event.revision,
        source=event.source,
        measurement=event.measurement,
        metric=event.metric,
        score=event.score,
        category=category_of(event.metric, event.score),
        sentiment=event.sentiment,
        language=event.language,
        touchpoint=event.touchpoint,
        segment=event.segment,
        product=event.product,
        channel=event.channel,
        reason=event.reason,
        emotion=event.emotion,
        question_version=event.question_version,
        answered_at=event.answered_at,
        received_at=event.received_at,
        as_new=event.as_new,
        person_ref=event.person_ref,
        has_comment=event.has_comment,
        sealed_person=event.person,
        import_id=event.import_id,
    )
