"""The customer is asked whether it is settled: one mail a resolution, never by the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.notify import store
from services.notify.domain.customers import (
    ASK_IF_SETTLED,
    CUSTOMER_MAIL_KINDS,
    TASK_WENT_ON,
    QuestionFacts,
    question_document,
    question_from,
    why_not_asked,
)
from services.notify.domain.deliveries import Channel
from services.notify.store import Delivery, NewDelivery
from shared.consent import Refusal
from shared.db.transaction import Reading, Transaction
from shared.events.loop import TaskResolved
from shared.identity.owners import Owner, owners


def question_of(event_id: str, event: TaskResolved) -> NewDelivery | None:
    """Return the mail that a resolution calls for; None where the customer is not asked."""
    ends, begins = event.ask_customer_until, event.ask_customer_at
    if begins is None or ends is None or event.resolution is None or event.person is None:
        return None
    facts = QuestionFacts(
        event_id=event_id,
        type="task.resolved",
        task_id=event.task_id,
        version=event.version,
        resolution=event.resolution,
        expires_at=ends,
        owner_id=event.owner.id,
        owner_kind=event.owner.kind,
        resolved_by=event.resolved_by,
        language=event.language,
        touchpoint=event.touchpoint_name,
    )
    return NewDelivery(
        event_id=event_id,
        event_type=facts.type,
        channel=Channel.EMAIL,
        target=event.person_ref,
        purpose=ASK_IF_SETTLED,
        payload=question_document(facts),
        task_id=event.task_id,
        response_id=event.response_id,
        person_ref=event.person_ref,
        sealed_person=event.person,
        due_at=begins,
    )


async def contacts_of(view: Reading, claimed: Sequence[Delivery]) -> Mapping[str, Owner]:
    """Return by delivery whom customers may turn to: who resolved it, else the owner.

    Whoever has no address of their own is left out for the one that has.
    """
    wanted = {
        one.id: [who for who in (facts.resolved_by, facts.owner_id) if who]
        for one in claimed
        if one.purpose in CUSTOMER_MAIL_KINDS
        for facts in [question_from(one.payload)]
    }
    known = await owners(view, [who for ids in wanted.values() for who in ids])
    found = {}
    for delivery_id, ids in wanted.items():
        people = [known[who] for who in ids if who in known]
        best = next((each for each in people if each.email), people[0] if people else None)
        if best is not None:
            found[delivery_id] = best
    return found


async def why_not(
    tx: Transaction,
    one: Delivery,
    person: Mapping[str, Any] | None,
    *,
    refused: Refusal | None,
) -> str | None:
    """Say why a claimed question is not asked any more, or None."""
    if (reason := why_not_asked(person, refused)) is not None:
        return reason
    facts = question_from(one.payload)
    done = await store.version_when_done(tx, facts.task_id)
    return None if done == facts.version else TASK_WENT_ON
