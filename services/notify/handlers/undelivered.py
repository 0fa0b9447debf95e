"""What follows when a mail does not get through: somebody else is told, nobody is forgotten.

A mailbox that is dead is written to no more. The alert goes to the colleagues of its owner,
else to an administrator; if their mail does not get through either, to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.notify import store
from services.notify.domain.accounts import ACCOUNT_MAIL_KINDS
from services.notify.domain.alerts import MAIL_KINDS, SUMMARY_KINDS, facts_from, owner_of
from services.notify.domain.customers import CUSTOMER_MAIL_KINDS
from services.notify.domain.deliveries import Channel, GiveUp, State, Verdict
from services.notify.domain.passing_on import PASSED_OVER, is_passed_on
from services.notify.handlers.addressing import mailbox_of
from services.notify.store import MAIL_LANE, Delivery, NewDelivery, Pause, Settlement
from shared.db.transaction import Reading, Transaction
from shared.errors import NotFound
from shared.events.notify import AlertUndeliverable
from shared.identity import audit
from shared.identity.owners import OwnerKind, Recipient, colleagues_of, recipients_with
from shared.identity.principal import Principal, Role
from shared.logs import get_logger

_log = get_logger(__name__)
_DEAD = "address_dead"


async def follow_up(
    tx: Transaction, done: Settlement, *, mail_settings: str, now: datetime
) -> Sequence[str]:
    """Do what a failed try of a mail calls for; return who is told instead."""
    one, outcome = done.delivery, done.outcome
    if one.channel is not Channel.EMAIL:
        return []
    if outcome.verdict is Verdict.CONFIGURATION:
        await _pause(tx, done, settings=mail_settings, now=now)
    if outcome.reason == _DEAD and one.recipient is not None:
        await _suppress(tx, done, one.recipient.email, now=now)
    if isinstance(done.step, GiveUp):
        _log.error("mail.given_up", delivery_id=one.id, reason=done.step.reason)
    passes = is_passed_on(
        done.step,
        outcome,
        failures=one.failures,
        first_tried_at=one.first_tried_at,
        deadline=_deadline_of(one),
        now=now,
    )
    return await _pass_on(tx, one, now=now) if passes and not _is_theirs_alone(one) else []


async def pass_over(tx: Transaction, one: Delivery, *, now: datetime) -> None:
    """Give up a claimed mail to a dead mailbox before it is sent, and tell somebody else."""
    if not await store.fail_claimed(tx, one, reason=PASSED_OVER, now=now):
        return
    instead = [] if _is_theirs_alone(one) else await _pass_on(tx, one, now=now)
    await announce_undeliverable(
        tx, one, reason=PASSED_OVER, attempts=one.attempts - 1, instead=instead, now=now
    )


async def lift_suppression(
    tx: Transaction, suppression_id: str, *, by: Principal, now: datetime
) -> None:
    """Let mail be sent to a mailbox again; raise ``NotFound`` where it is on no list."""
    known = "\0" not in suppression_id
    if not known or await store.drop_suppression(tx, suppression_id) is None:
        raise NotFound("There is no such suppressed address.")
    await audit.record(tx, by, "mail.unsuppressed", suppression_id, now=now)


async def announce_undeliverable(
    tx: Transaction,
    one: Delivery,
    *,
    reason: str,
    attempts: int,
    instead: Sequence[str],
    now: datetime,
) -> None:
    """Say that no attempt of this delivery will succeed any more."""
    tx.announce(
        AlertUndeliverable(
            delivery_id=one.id,
            channel=one.channel.value,
            event_type=one.event_type,
            event_id=one.event_id,
            task_id=one.task_id,
            import_id=one.import_id,
            attempts=attempts,
            at=now,
            reason=reason,
            target=one.target,
            task_ids=await _told_together(tx, one),
            passed_on=bool(instead),
            passed_on_to=list(instead),
        ),
        key=one.person_ref or one.id,
        at=now,
    )


async def _told_together(view: Reading, one: Delivery) -> list[str]:
    """Return the tasks that a summary tells of and that somebody has yet to act on."""
    if one.purpose not in SUMMARY_KINDS.values():
        return []
    lines = await store.lines_of(view, [one.id])
    return sorted({facts_from(line).task_id for line in lines[one.id]})


async def _pause(tx: Transaction, done: Settlement, *, settings: str, now: datetime) -> None:
    outcome = done.outcome
    begun = Pause(
        lane=MAIL_LANE,
        reason=outcome.reason,
        code=outcome.code,
        reply=outcome.reply,
        settings=settings,
        since=now,
    )
    if await store.pause(tx, begun):
        detail = {"reason": outcome.reason, "code": outcome.code}
        await audit.record(tx, audit.SYSTEM, "mail.paused", MAIL_LANE, detail, now=now)
        _log.error("mail.paused", reason=outcome.reason, code=outcome.code)


async def _suppress(tx: Transaction, done: Settlement, address: str, *, now: datetime) -> None:
    code, delivery_id = done.outcome.code, done.delivery.id
    made = await store.suppress(
        tx, address, reason=_DEAD, code=code, delivery_id=delivery_id, now=now
    )
    if made is not None:
        detail = {"reason": _DEAD, "code": code, "delivery": delivery_id}
        await audit.record(tx, audit.SYSTEM, "mail.suppressed", made, detail, now=now)


def _is_theirs_alone(one: Delivery) -> bool:
    """Tell whether a mail is nobody else's: the link in it is its recipient's right."""
    return one.purpose in {*CUSTOMER_MAIL_KINDS, *ACCOUNT_MAIL_KINDS}


def _deadline_of(one: Delivery) -> datetime | None:
    is_of_a_task = one.purpose in MAIL_KINDS.values()
    return facts_from(one.payload).deadline if is_of_a_task else None


async def _pass_on(tx: Transaction, one: Delivery, *, now: datetime) -> Sequence[str]:
    """Tell the next in line, unless somebody in line is told already; return who is told."""
    told = await store.told_of(tx, one.event_id)
    for line, enough in await _lines(tx, one):
        usable = await _usable(tx, [each for each in line if each.staff_id != one.target])
        already = [
            _target(each)
            for each in usable
            if told.get(_target(each), State.FAILED) is not State.FAILED
        ]
        if already:
            return already
        fresh = [each for each in usable if _target(each) not in told][:enough]
        if fresh:
            await _tell(tx, one, fresh, now=now)
            return [_target(each) for each in fresh]
    _log.error("alerts.nobody_left_to_tell", delivery_id=one.id, task_id=one.task_id)
    return []


async def _lines(
    view: Reading, one: Delivery
) -> Sequence[tuple[Sequence[Recipient], int | None]]:
    """Return who is asked in turn: all of the owner's colleagues, then one administrator."""
    owner = owner_of(one.payload)
    kind: OwnerKind = "person" if owner is not None and owner[1] == "person" else "team"
    crew = await colleagues_of(view, owner[0], kind) if owner is not None else []
    return [(crew, None), (await recipients_with(view, [Role.ADMIN]), 1)]


async def _usable(view: Reading, line: Sequence[Recipient]) -> Sequence[Recipient]:
    dead = await store.suppressed_among(view, [each.email for each in line])
    return [each for each in line if each.email.lower() not in dead]


def _target(recipient: Recipient) -> str:
    return recipient.staff_id or recipient.email


async def _tell(
    tx: Transaction, one: Delivery, others: Sequence[Recipient], *, now: datetime
) -> None:
    fresh = [
        NewDelivery(
            event_id=one.event_id,
            event_type=one.event_type,
            channel=one.channel,
            target=_target(other),
            purpose=one.purpose,
            payload=one.payload,
            task_id=one.task_id,
            response_id=one.response_id,
            correlation_id=one.correlation_id,
            person_ref=one.person_ref,
            sealed_person=one.sealed_person,
            instead_of=one.id,
            recipient=mailbox_of(other),
            import_id=one.import_id,
        )
        for other in others
    ]
    made = await store.add_deliveries(tx, fresh, now=now)
    if one.purpose in SUMMARY_KINDS.values():
        for delivery_id, other in zip(made, fresh, strict=True):
            await store.copy_lines(tx, of=one.id, to=delivery_id, target=other.target)
    _log.warning("alerts.passed_on", delivery_id=one.id, task_id=one.task_id, count=len(fresh))
