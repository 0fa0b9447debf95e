"""Rows of notify and the frozen values they become: the only file that knows the tables.

Claims go by status with a lease and a token, never by a cursor; whoever settles must still hold
the token, so that a worker that was paused too long changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_, case, delete, exists, func, or_, select, true, update

from services.notify.domain.deliveries import Channel, GiveUp, RetryAt, Sent, State
from services.notify.tables import (
    PERSONAL,
    PLUMBING,
    attempts,
    captured_mails,
    deliveries,
    tasks_done,
    webhooks,
)
from shared.db.base import epoch_now
from shared.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Row

    from services.notify.domain.deliveries import NextStep, Outcome
    from shared.db.transaction import Reading, Transaction
    from shared.sealing import Keyring

__all__ = ["PERSONAL", "PLUMBING"]

MAIL_LANE = "email"
_SECRETS = "webhook-secrets"

Detail = Literal["thin", "full"]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One signing secret; a former one signs until ``until``."""

    value: str = field(repr=False)
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where events are posted to."""

    id: str
    url: str
    events: tuple[str, ...]
    detail: Detail
    is_enabled: bool
    disabled_reason: str | None
    secrets: tuple[Secret, ...] = field(repr=False)
    created_at: datetime
    created_by: str
    changed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """Where a mail goes, and in which language and time zone it speaks."""

    email: str = field(repr=False)
    language: str
    time_zone: str


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One alert to one target, as it stands."""

    id: str
    event_id: str
    event_type: str
    channel: Channel
    target: str
    purpose: str
    lane: str
    task_id: str | None
    response_id: str | None
    correlation_id: str | None
    payload: bytes = field(repr=False)
    person_ref: str | None
    sealed_person: str | None = field(repr=False)
    recipient: Mailbox | None
    state: State
    reason: str | None
    attempts: int
    failures: int
    in_doubt: bool
    created_at: datetime
    first_tried_at: datetime | None
    next_attempt_at: datetime | None
    settled_at: datetime | None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try and what it came to."""

    n: int
    started_at: datetime
    milliseconds: int
    result: str
    reason: str
    code: int | None
    reply: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class NewDelivery:
    """A delivery to be made; twins by event, channel, target and purpose are impossible."""

    event_id: str
    event_type: str
    channel: Channel
    target: str
    purpose: str
    payload: bytes = field(repr=False)
    task_id: str | None = None
    response_id: str | None = None
    correlation_id: str | None = None
    person_ref: str | None = None
    sealed_person: str | None = field(default=None, repr=False)
    recipient: Mailbox | None = None


@dataclass(frozen=True, kw_only=True)
class CapturedMail:
    """A mail that was kept here and not sent."""

    id: str
    delivery_id: str
    recipient: str
    subject: str
    at: datetime
    person_ref: str | None


# ---------------------------------------------------------------- webhooks


async def add_webhook(tx: Transaction, webhook: Webhook, keyring: Keyring) -> None:
    """Store a new webhook."""
    await tx.execute(
        tx.insert(webhooks).values(
            id=webhook.id,
            created_at=webhook.created_at,
            created_by=webhook.created_by,
            **_webhook_values(webhook, keyring),
        )
    )


async def save_webhook(tx: Transaction, webhook: Webhook, keyring: Keyring) -> None:
    """Store a changed webhook."""
    await tx.execute(
        update(webhooks)
        .where(webhooks.c.id == webhook.id)
        .values(**_webhook_values(webhook, keyring))
    )


async def drop_webhook(tx: Transaction, webhook_id: str) -> None:
    """Forget a webhook and its secrets; its deliveries stay as history."""
    await tx.execute(delete(webhooks).where(webhooks.c.id == webhook_id))


async def webhook_of(
    view: Reading, webhook_id: str, keyring: Keyring, *, locked: bool = False
) -> Webhook | None:
    """Return one webhook; ``locked`` keeps it from changing until the transaction ends."""
    query = select(webhooks).where(webhooks.c.id == webhook_id)
    row = await view.first(query.with_for_update() if locked else query)
    return _webhook(row, keyring) if row else None


async def list_webhooks(
    view: Reading, keyring: Keyring, *, limit: int, after: str | None = None
) -> Sequence[Webhook]:
    """Return webhooks in the order of their making, behind the id ``after``."""
    query = select(webhooks).order_by(webhooks.c.id).limit(limit)
    if after is not None:
        query = query.where(webhooks.c.id > after)
    return [_webhook(row, keyring) for row in await view.all(query)]


async def webhooks_by_id(
    view: Reading, ids: Sequence[str], keyring: Keyring
) -> Mapping[str, Webhook]:
    """Return these webhooks; deleted ones are absent."""
    if not ids:
        return {}
    rows = await view.all(select(webhooks).where(webhooks.c.id.in_(ids)))
    return {row.id: _webhook(row, keyring) for row in rows}


async def enabled_webhooks(
    view: Reading,
) -> Sequence[tuple[str, tuple[str, ...], Detail]]:
    """Return id, patterns and detail of every enabled webhook: what a fan-out needs."""
    rows = await view.all(
        select(webhooks.c.id, webhooks.c.events, webhooks.c.detail).where(
            webhooks.c.state == "enabled"
        )
    )
    return [(row.id, tuple(row.events), row.detail) for row in rows]


def _webhook_values(webhook: Webhook, keyring: Keyring) -> dict[str, Any]:
    secrets = [
        {"value": one.value, "until": one.until.isoformat() if one.until else None}
        for one in webhook.secrets
    ]
    return {
        "url": webhook.url,
        "events": list(webhook.events),
        "detail": webhook.detail,
        "state": "enabled" if webhook.is_enabled else "disabled",
        "disabled_reason": webhook.disabled_reason,
        "sealed_secrets": keyring.seal(
            _SECRETS, json.dumps(secrets).encode(), context=webhook.id
        ),
        "changed_at": webhook.changed_at,
    }


def _webhook(row: Row[Any], keyring: Keyring) -> Webhook:
    secrets = json.loads(keyring.open(_SECRETS, row.sealed_secrets, context=row.id))
    return Webhook(
        id=row.id,
        url=row.url,
        events=tuple(row.events),
        detail=row.detail,
        is_enabled=row.state == "enabled",
        disabled_reason=row.disabled_reason,
        secrets=tuple(
            Secret(
                value=one["value"],
                until=datetime.fromisoformat(one["until"]) if one["until"] else None,
            )
            for one in secrets
        ),
        created_at=row.created_at,
        created_by=row.created_by,
        changed_at=row.changed_at,
    )


# ---------------------------------------------------------------- deliveries: making them


async def add_deliveries(
    tx: Transaction, fresh: Sequence[NewDelivery], *, now: datetime
) -> Sequence[str]:
    """Store deliveries that are due now, and return their ids.

    One that exists already stays as it is; the id returned in its place is nobody's.
    """
    rows = [_delivery_values(one, now) for one in fresh]
    if rows:
        await tx.execute(
            tx.insert(deliveries).on_conflict_do_nothing(
                index_elements=["event_id", "channel", "target", "purpose"]
            ),
            rows,
        )
    return [row["id"] for row in rows]


def _delivery_values(one: NewDelivery, now: datetime) -> dict[str, Any]:
    box = one.recipient
    return {
        "id": new_id("dlv"),
        "event_id": one.event_id,
        "event_type": one.event_type,
        "channel": one.channel.value,
        "target": one.target,
        "purpose": one.purpose,
        "lane": MAIL_LANE if one.channel is Channel.EMAIL else one.target,
        "task_id": one.task_id,
        "response_id": one.response_id,
        "correlation_id": one.correlation_id,
        "payload": one.payload,
        "person_ref": one.person_ref,
        "sealed_person": one.sealed_person,
        "recipient": box
        and {"email": box.email, "language": box.language, "time_zone": box.time_zone},
        "state": State.DUE.value,
        "attempts": 0,
        "failures": 0,
        "in_doubt": False,
        "created_at": now,
        "next_attempt_at": now,
    }


async def note_task_states(tx: Transaction, states: Mapping[str, tuple[int, bool]]) -> None:
    """Remember which tasks are done; ``states`` holds each task's latest version and state.

    An older event that comes late (a replay) changes nothing.
    """
    for is_done in (True, False):
        part = [
            {"task_id": task_id, "version": version}
            for task_id, (version, done) in states.items()
            if done is is_done
        ]
        if is_done and part:
            statement = tx.insert(tasks_done)
            await tx.execute(
                statement.on_conflict_do_update(
                    index_elements=["task_id"],
                    set_={"version": statement.excluded.version},
                    where=tasks_done.c.version < statement.excluded.version,
                ),
                part,
            )
        elif part:
            stored = await tx.all(
                select(tasks_done).where(
                    tasks_done.c.task_id.in_([one["task_id"] for one in part])
                )
            )
            reopened = [row.task_id for row in stored if row.version < states[row.task_id][0]]
            if reopened:
                await tx.execute(delete(tasks_done).where(tasks_done.c.task_id.in_(reopened)))


# ---------------------------------------------------------------- deliveries: sending them


def _claimable(now: datetime) -> ColumnElement[bool]:
    return or_(
        and_(deliveries.c.state == State.DUE, deliveries.c.next_attempt_at <= now),
        and_(deliveries.c.state == State.SENDING, deliveries.c.lease_until < epoch_now()),
    )


async def anything_claimable(view: Reading, *, now: datetime, without: Sequence[str]) -> bool:
    """Tell whether any delivery waits to be sent, leaving out these lanes."""
    query = select(deliveries.c.id).where(
        _claimable(now), deliveries.c.lane.not_in(without) if without else true()
    )
    return await view.first(query.limit(1)) is not None


async def hold_settled_tasks(tx: Transaction, *, now: datetime) -> int:
    """Hold the due mails of tasks that are done: nobody needs to act on them any more."""
    done = exists().where(tasks_done.c.task_id == deliveries.c.task_id)
    result = await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.state == State.DUE,
            deliveries.c.next_attempt_at <= now,
            deliveries.c.channel == Channel.EMAIL,
            done,
        )
        .values(state=State.HELD, reason="task_done", settled_at=now)
    )
    return result.rowcount


async def claim(
    tx: Transaction,
    *,
    token: str,
    now: datetime,
    lasting: timedelta,
    per_lane: int,
    mail_lane: int,
    in_flight: Mapping[str, int],
    limit: int,
    without: Sequence[str] = (),
) -> Sequence[Delivery]:
    """Claim what is due, the longest waiting first within a lane, fair between lanes.

    No lane gets more than ``per_lane`` (mail: ``mail_lane``) including what is in flight.
    A claim whose lease ran out is taken over; its attempt is written down as interrupted, and
    the delivery is in doubt, because its worker may have sent it.
    """
    await hold_settled_tasks(tx, now=now)
    room = case(
        {
            lane: (mail_lane if lane == MAIL_LANE else per_lane) - count
            for lane, count in {MAIL_LANE: 0, **in_flight}.items()
        },
        value=deliveries.c.lane,
        else_=per_lane,
    )
    waiting = (
        select(
            deliveries.c.id,
            func.row_number()
            .over(
                partition_by=deliveries.c.lane,
                order_by=(deliveries.c.next_attempt_at, deliveries.c.id),
            )
            .label("place"),
            room.label("room"),
        )
        .where(_claimable(now), deliveries.c.lane.not_in(without) if without else true())
        .subquery()
    )
    chosen = await tx.all(
        select(deliveries.c.id, deliveries.c.state, deliveries.c.attempts)
        .where(
            deliveries.c.id.in_(
                select(waiting.c.id)
                .where(waiting.c.place <= waiting.c.room)
                .order_by(waiting.c.place, waiting.c.id)
                .limit(limit)
            ),
            _claimable(now),
        )
        .with_for_update(skip_locked=True)
    )
    if not chosen:
        return []
    interrupted = [row for row in chosen if row.state == State.SENDING]
    if interrupted:
        await tx.execute(
            tx.insert(attempts).on_conflict_do_nothing(),
            [
                {
                    "delivery_id": row.id,
                    "n": row.attempts,
                    "started_at": now,
                    "milliseconds": 0,
                    "result": "interrupted",
                    "reason": "worker_lost",
                    "code": None,
                    "reply": "",
                }
                for row in interrupted
            ],
        )
    rows = await tx.all(
        update(deliveries)
        .where(deliveries.c.id.in_([row.id for row in chosen]))
        .values(
            state=State.SENDING,
            token=token,
            lease_until=epoch_now() + lasting.total_seconds(),
            attempts=deliveries.c.attempts + 1,
            in_doubt=or_(deliveries.c.in_doubt, deliveries.c.state == State.SENDING),
            first_tried_at=func.coalesce(deliveries.c.first_tried_at, now),
        )
        .returning(*deliveries.c)
    )
    return sorted(map(_delivery, rows), key=lambda one: (one.next_attempt_at or now, one.id))


async def prolong(
    tx: Transaction, *, token: str, ids: Sequence[str], lasting: timedelta
) -> None:
    """Keep hold of claims whose sending still goes on."""
    await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.id.in_(ids),
            deliveries.c.token == token,
            deliveries.c.state == State.SENDING,
        )
        .values(lease_until=epoch_now() + lasting.total_seconds())
    )


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """A finished attempt: the claim, what came of it, and what follows."""

    delivery: Delivery
    outcome: Outcome
    step: NextStep
    started_at: datetime
    milliseconds: int


async def settle(tx: Transaction, done: Settlement, *, now: datetime) -> bool:
    """Write an attempt and the new state; False when the claim was lost meanwhile."""
    one = done.delivery
    values: dict[str, Any] = {"token": None, "lease_until": None}
    if done.outcome.verdict == "doubt":
        values["in_doubt"] = True
    match done.step:
        case Sent():
            values |= {"state": State.DELIVERED, "reason": None, "settled_at": now}
            values["next_attempt_at"] = None
        case RetryAt(when, counted):
            values |= {"state": State.DUE, "reason": done.outcome.reason}
            values |= {"next_attempt_at": when, "failures": one.failures + counted}
        case GiveUp(reason):
            values |= {"state": State.FAILED, "reason": reason, "settled_at": now}
            values |= {"next_attempt_at": None, "failures": one.failures + 1}
    if not await _fenced(tx, one, values):
        return False
    await tx.execute(
        tx.insert(attempts).values(
            delivery_id=one.id,
            n=one.attempts,
            started_at=done.started_at,
            milliseconds=done.milliseconds,
            result=done.outcome.verdict.value,
            reason=done.outcome.reason,
            code=done.outcome.code,
            reply=done.outcome.reply,
        )
    )
    return True


async def hold_claimed(tx: Transaction, one: Delivery, *, reason: str, now: datetime) -> bool:
    """Hold a claimed delivery that must not be sent now; no attempt was made."""
    return await _fenced(
        tx,
        one,
        {
            "state": State.HELD,
            "reason": reason,
            "settled_at": now,
            "token": None,
            "lease_until": None,
            "attempts": one.attempts - 1,
        },
    )


async def give_back(tx: Transaction, one: Delivery) -> bool:
    """Let go of a claim before an attempt was made: it stays as due as it was."""
    values = {"state": State.DUE, "token": None, "lease_until": None}
    return await _fenced(tx, one, {**values, "attempts": one.attempts - 1})


async def _fenced(tx: Transaction, one: Delivery, values: Mapping[str, Any]) -> bool:
    result = await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.id == one.id,
            deliveries.c.token == one.token,
            deliveries.c.state == State.SENDING,
        )
        .values(**values)
    )
    return result.rowcount == 1


async def hold_lane(tx: Transaction, webhook_id: str, *, reason: str, now: datetime) -> int:
    """Hold everything that is due to an endpoint that was switched off."""
    result = await tx.execute(
        update(deliveries)
        .where(deliveries.c.lane == webhook_id, deliveries.c.state == State.DUE)
        .values(state=State.HELD, reason=reason, settled_at=now)
    )
    return result.rowcount


async def release_lane(tx: Transaction, webhook_id: str, *, now: datetime) -> int:
    """Make everything due again that was held while an endpoint was off."""
    result = await tx.execute(
        update(deliveries)
        .where(deliveries.c.lane == webhook_id, deliveries.c.state == State.HELD)
        .values(state=State.DUE, reason=None, settled_at=None, next_attempt_at=now)
    )
    return result.rowcount


async def drop_lane(tx: Transaction, webhook_id: str, *, reason: str, now: datetime) -> int:
    """Give up what waits for an endpoint that no longer exists."""
    result = await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.lane == webhook_id,
            deliveries.c.state.in_([State.DUE, State.HELD]),
        )
        .values(state=State.FAILED, reason=reason, settled_at=now, next_attempt_at=None)
    )
    return result.rowcount


async def make_due_again(tx: Transaction, delivery_id: str, *, now: datetime) -> bool:
    """Send a settled delivery once more, with all its tries; False while it is on its way."""
    result = await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.state.in_([State.DELIVERED, State.FAILED, State.HELD]),
        )
        .values(state=State.DUE, reason=None, settled_at=None, failures=0, next_attempt_at=now)
    )
    return result.rowcount == 1


# ---------------------------------------------------------------- deliveries: reading them


async def delivery_of(view: Reading, delivery_id: str) -> Delivery | None:
    """Return one delivery."""
    row = await view.first(select(deliveries).where(deliveries.c.id == delivery_id))
    return _delivery(row) if row else None


async def list_deliveries(
    view: Reading,
    *,
    limit: int,
    before: str | None = None,
    state: State | None = None,
    target: str | None = None,
) -> Sequence[Delivery]:
    """Return deliveries, newest first, behind the id ``before``."""
    query = select(deliveries).order_by(deliveries.c.id.desc()).limit(limit)
    for column, value in ((deliveries.c.state, state), (deliveries.c.target, target)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return [_delivery(row) for row in await view.all(query)]


async def attempts_of(view: Reading, delivery_id: str) -> Sequence[Attempt]:
    """Return every try of a delivery, in order."""
    rows = await view.all(
        select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.n)
    )
    return [
        Attempt(
            n=row.n,
            started_at=row.started_at,
            milliseconds=row.milliseconds,
            result=row.result,
            reason=row.reason,
            code=row.code,
            reply=row.reply,
        )
        for row in rows
    ]


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        event_id=row.event_id,
        event_type=row.event_type,
        channel=Channel(row.channel),
        target=row.target,
        purpose=row.purpose,
        lane=row.lane,
        task_id=row.task_id,
        response_id=row.response_id,
        correlation_id=row.correlation_id,
        payload=row.payload,
        person_ref=row.person_ref,
        sealed_person=row.sealed_person,
        recipient=Mailbox(**row.recipient) if row.recipient else None,
        state=State(row.state),
        reason=row.reason,
        attempts=row.attempts,
        failures=row.failures,
        in_doubt=bool(row.in_doubt),
        created_at=row.created_at,
        first_tried_at=row.first_tried_at,
        next_attempt_at=row.next_attempt_at,
        settled_at=row.settled_at,
        token=row.token,
    )


# ---------------------------------------------------------------- captured mail


async def capture(
    tx: Transaction,
    mails: Sequence[tuple[CapturedMail, bytes]],
) -> None:
    """Keep mails, each with its sealed bytes; a second copy of the same delivery is ignored."""
    await tx.execute(
        tx.insert(captured_mails).on_conflict_do_nothing(index_elements=["delivery_id"]),
        [
            {
                "id": mail.id,
                "delivery_id": mail.delivery_id,
                "recipient_address": mail.recipient,
                "subject": mail.subject,
                "at": mail.at,
                "person_ref": mail.person_ref,
                "sealed_message": sealed,
            }
            for mail, sealed in mails
        ],
    )


async def list_captured(
    view: Reading, *, limit: int, before: str | None = None
) -> Sequence[CapturedMail]:
    """Return captured mails without their content, newest first."""
    query = select(captured_mails).order_by(captured_mails.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(captured_mails.c.id < before)
    return [_captured(row) for row in await view.all(query)]


async def captured_mail(view: Reading, mail_id: str) -> tuple[CapturedMail, bytes] | None:
    """Return one captured mail and its sealed bytes."""
    row = await view.first(select(captured_mails).where(captured_mails.c.id == mail_id))
    return (_captured(row), row.sealed_message) if row else None


def _captured(row: Row[Any]) -> CapturedMail:
    return CapturedMail(
        id=row.id,
        delivery_id=row.delivery_id,
        recipient=row.recipient_address,
        subject=row.subject,
        at=row.at,
        person_ref=row.person_ref,
    )
