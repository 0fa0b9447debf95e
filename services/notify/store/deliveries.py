"""Deliveries and their tries: making them, reading them, and which tasks are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, literal_column, select, update

from services.notify.domain.customers import CUSTOMER_MAIL_KINDS
from services.notify.domain.deliveries import NOBODY_TO_TELL, TASK_DONE, Channel, State
from services.notify.tables import attempts, deliveries, summary_items, tasks_done
from shared.db.transaction import Reading, Transaction
from shared.ids import new_id

MAIL_LANE = "email"

# Literally, as the index of these rows says it.
_TASK_DONE = deliveries.c.reason == literal_column(f"'{TASK_DONE}'")


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
    import_id: str | None
    correlation_id: str | None
    payload: bytes = field(repr=False)
    person_ref: str | None
    sealed_person: str | None = field(repr=False)
    instead_of: str | None
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
    """A delivery to be made; twins by event, channel, target and purpose are impossible.

    A mail without a recipient is held until its target, the owner, can be told; that of a
    customer has none, because the address stays sealed. A summary
    grows under its ``gathering`` until it is claimed, and is due at ``due_at``.
    """

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
    instead_of: str | None = None
    import_id: str | None = None
    gathering: str | None = None
    due_at: datetime | None = None
    withheld: str | None = None
    """Why it is held from its first moment on, although it could be sent."""

    @property
    def is_held(self) -> bool:
        """Tell whether there is nobody yet whom it could be sent to."""
        return (
            self.channel is Channel.EMAIL
            and self.recipient is None
            and self.purpose not in CUSTOMER_MAIL_KINDS
        )


async def add_deliveries(
    tx: Transaction, fresh: Sequence[NewDelivery], *, now: datetime
) -> Sequence[str]:
    """Store deliveries, due now unless held or said otherwise, and return their ids.

    One that exists already stays as it is; the id returned in its place is nobody's.
    """
    rows = [_delivery_values(one, now) for one in fresh]
    if rows:
        await tx.execute(
            tx.insert(deliveries).on_conflict_do_nothing(),
            rows,
        )
    return [row["id"] for row in rows]


def _delivery_values(one: NewDelivery, now: datetime) -> dict[str, Any]:
    box = one.recipient
    held = one.withheld or (NOBODY_TO_TELL if one.is_held else None)
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
        "import_id": one.import_id,
        "gathering": one.gathering,
        "correlation_id": one.correlation_id,
        "payload": one.payload,
        "person_ref": one.person_ref,
        "sealed_person": one.sealed_person,
        "instead_of": one.instead_of,
        "recipient": box
        and {"email": box.email, "language": box.language, "time_zone": box.time_zone},
        "state": (State.HELD if held else State.DUE).value,
        "reason": held,
        "attempts": 0,
        "failures": 0,
        "in_doubt": False,
        "created_at": now,
        "next_attempt_at": None if held else one.due_at or now,
        "settled_at": now if held else None,
    }


async def note_task_states(
    tx: Transaction, states: Mapping[str, tuple[int, bool]], *, now: datetime
) -> None:
    """Remember which tasks are done; ``states`` holds each task's latest version and state.

    An older event that comes late (a replay) changes nothing. What was held because a task was
    done is due again once it is reopened: nobody was told yet.
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
                await _release(tx, reopened, now=now)


async def version_when_done(view: Reading, task_id: str) -> int | None:
    """Return at which version a task was done that is done still; None for an open one."""
    found: int | None = await view.scalar(
        select(tasks_done.c.version).where(tasks_done.c.task_id == task_id)
    )
    return found


async def _release(tx: Transaction, task_ids: Sequence[str], *, now: datetime) -> None:
    """Send what was held because these tasks were done, unless it may have been sent before."""
    gathered = select(summary_items.c.delivery_id).where(summary_items.c.task_id.in_(task_ids))
    for about in (deliveries.c.task_id.in_(task_ids), deliveries.c.id.in_(gathered)):
        await tx.execute(
            update(deliveries)
            .where(about, _TASK_DONE, deliveries.c.in_doubt.is_(False))
            .values(state=State.DUE, reason=None, settled_at=None, next_attempt_at=now)
        )


async def delivery_of(view: Reading, delivery_id: str) -> Delivery | None:
    """Return one delivery."""
    row = await view.first(select(deliveries).where(deliveries.c.id == delivery_id))
    return delivery_from(row) if row else None


async def told_of(view: Reading, event_id: str) -> Mapping[str, State]:
    """Return who is told of an event by mail, by target, and where that stands."""
    rows = await view.all(
        select(deliveries.c.target, deliveries.c.state).where(
            deliveries.c.event_id == event_id, deliveries.c.channel == Channel.EMAIL.value
        )
    )
    return {row.target: State(row.state) for row in rows}


async def list_deliveries(
    view: Reading,
    *,
    limit: int,
    before: str | None = None,
    state: State | None = None,
    target: str | None = None,
    import_id: str | None = None,
) -> Sequence[Delivery]:
    """Return deliveries, newest first, behind the id ``before``."""
    query = select(deliveries).order_by(deliveries.c.id.desc()).limit(limit)
    for column, value in (
        (deliveries.c.state, state),
        (deliveries.c.target, target),
        (deliveries.c.import_id, import_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return [delivery_from(row) for row in await view.all(query)]


async def mails_in_trouble(view: Reading, *, limit: int) -> Sequence[Delivery]:
    """Return mails that failed, wait for another try, or may have arrived twice."""
    found: dict[str, Delivery] = {}
    for condition in (
        deliveries.c.state == State.FAILED,
        and_(deliveries.c.state == State.DUE, deliveries.c.reason.is_not(None)),
        deliveries.c.in_doubt,
    ):
        rows = await view.all(
            select(deliveries)
            .where(condition, deliveries.c.channel == Channel.EMAIL)
            .order_by(deliveries.c.id.desc())
            .limit(limit)
        )
        found |= {row.id: delivery_from(row) for row in rows}
    return [found[delivery_id] for delivery_id in sorted(found, reverse=True)[:limit]]


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


def delivery_from(row: Row[Any]) -> Delivery:
    """Return the delivery that a row is."""
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
        import_id=row.import_id,
        correlation_id=row.correlation_id,
        payload=row.payload,
        person_ref=row.person_ref,
        sealed_person=row.sealed_person,
        instead_of=row.instead_of,
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
