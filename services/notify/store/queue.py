"""What is due and who sends it: claims, leases, verdicts.

Claims go by status with a lease and a token, never by a cursor; whoever settles must still hold
the token, so that a worker that was paused too long changes nothing. What is due is judged by
the injected clock, a lease by the database's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, true, update

from services.notify.domain.deliveries import (
    Channel,
    GiveUp,
    NextStep,
    Outcome,
    RetryAt,
    Sent,
    State,
)
from services.notify.store.deliveries import MAIL_LANE, Delivery, delivery_from
from services.notify.tables import attempts, deliveries, tasks_done
from shared.db.base import epoch_now
from shared.db.transaction import Reading, Transaction


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
    return sorted(
        map(delivery_from, rows), key=lambda one: (one.next_attempt_at or now, one.id)
    )


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
