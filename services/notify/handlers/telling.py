"""Who is told about an event of a task: one delivery per recipient and per endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.notify import store
from services.notify.domain.alerts import (
    MAIL_KINDS,
    SUMMARY_KINDS,
    TaskFacts,
    facts_document,
    is_wanted,
    webhook_body,
)
from services.notify.domain.deliveries import Channel
from services.notify.handlers.addressing import mailbox_of
from services.notify.handlers.gathering import Addition, gather
from services.notify.store import Listener, Mailbox, NewDelivery
from shared.db.transaction import Transaction
from shared.faults import fault_point
from shared.identity.owners import Recipient, addresses_of
from shared.logs import get_logger

_log = get_logger(__name__)


async def tell(
    tx: Transaction,
    events: Sequence[TaskFacts],
    *,
    public_url: str,
    now: datetime,
    questions: Sequence[NewDelivery] = (),
) -> int:
    """Make one delivery per event and recipient or endpoint; return how many were asked for.

    Twins are impossible by key. A mail that nobody can be sent is held, and told when somebody
    can. Mails about tasks of an import are gathered. Which tasks are done is noted, so that
    mails about them which still wait are held when their turn comes. ``questions`` go to
    customers.
    """
    endpoints = await store.listeners(tx, now=now)
    owners = {
        (one.owner_id, one.owner_kind): await addresses_of(
            tx, one.owner_id, "person" if one.owner_kind == "person" else "team"
        )
        for one in {
            (to.owner_id, to.owner_kind): to
            for each in events
            if each.mail_kind
            for to in each.addressed()
        }.values()
    }
    fresh: list[NewDelivery] = [*questions]
    gathered: list[Addition] = []
    for one in events:
        for to in one.addressed():
            told = _told(to, owners.get((to.owner_id, to.owner_kind), ()))
            if to.import_id is None or to.type not in SUMMARY_KINDS:
                fresh += _mails(to, told)
            else:
                gathered += [
                    Addition(facts=to, target=target, mailbox=mailbox)
                    for target, mailbox in told
                ]
        fresh += _posts(one, endpoints, public_url=public_url)
    await store.add_deliveries(tx, fresh, now=now)
    if gathered:
        fresh += await gather(tx, gathered, now=now)
    if held := [one for one in fresh if one.is_held]:
        _log.warning(
            "alerts.nobody_to_tell", count=len(held), owners=sorted({d.target for d in held})
        )
    await store.note_task_states(tx, _latest_states(events), now=now)
    fault_point("notify.fanned_out")
    return len(fresh)


_Told = Sequence[tuple[str, Mailbox | None]]


def _told(one: TaskFacts, recipients: Sequence[Recipient]) -> _Told:
    """Return who gets a mail about this, if it is worth one: the owner, when nobody can."""
    if one.mail_kind is None:
        return []
    return [(each.staff_id or one.owner_id, mailbox_of(each)) for each in recipients] or [
        (one.owner_id, None)
    ]


def _mails(one: TaskFacts, told: _Told) -> Sequence[NewDelivery]:
    return [
        NewDelivery(
            event_id=one.event_id,
            event_type=one.type,
            channel=Channel.EMAIL,
            target=target,
            purpose=MAIL_KINDS[one.type],
            payload=facts_document(one),
            task_id=one.task_id,
            response_id=one.response_id,
            correlation_id=one.correlation_id,
            person_ref=one.person_ref,
            sealed_person=one.person,
            recipient=mailbox,
        )
        for target, mailbox in told
    ]


def _posts(
    one: TaskFacts,
    endpoints: Sequence[Listener],
    *,
    public_url: str,
) -> Sequence[NewDelivery]:
    wanting = [each for each in endpoints if is_wanted(one.type, each.events)]
    if not wanting:
        return []
    body = webhook_body(one, public_url=public_url)
    return [
        NewDelivery(
            event_id=one.event_id,
            event_type=one.type,
            channel=Channel.WEBHOOK,
            target=each.id,
            purpose="event",
            payload=body,
            task_id=one.task_id,
            response_id=one.response_id,
            import_id=one.import_id,
            correlation_id=one.correlation_id,
            person_ref=one.person_ref,
            sealed_person=one.person if each.detail == "full" else None,
            withheld=each.withheld,
        )
        for each in wanting
    ]


def _latest_states(events: Sequence[TaskFacts]) -> Mapping[str, tuple[int, bool]]:
    latest: dict[str, tuple[int, bool]] = {}
    for one in events:
        if one.version >= latest.get(one.task_id, (0, False))[0]:
            latest[one.task_id] = (one.version, one.is_done)
    return latest
