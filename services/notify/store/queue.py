"""What is due and who sends it: claims, leases, verdicts.

Claims go by status with a lease and a token, never by a cursor; whoever settles must still hold
the token, so that a worker that was paused too long changes nothing. What is due is judged by
the injected clock, a lease by the database's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, true, update

from services.notify.domain.alerts import ALSO_WHEN_DONE
from services.notify.domain.customers import CUSTOMER_MAIL_KINDS
from services.notify.domain.deliveries import (
    TASK_DONE,
    Channel,
    GiveUp,
    NextStep,
    Outcome,
    RetryAt,
    Sent,
    State,
    Verdict,
)
from services.notify.store.deliveries import MAIL_LANE, Delivery, Mailbox, delivery_from
from services.notify.tables import attempts, deliveries, tasks_done
from shared.db.base import epoch_now
from shared.db.transaction import Reading, Transaction


def _claimable(now: datetime, under_way: Sequence[str]) -> ColumnElement[bool]:
    return or_(
        and_(deliveries.c.state == State.DUE, deliveries.c.next_attempt_at <= now),
        and_(
            deliveries.c.state == State.SENDING,
            deliveries.c.lease_until < epoch_now(),
            deliveries.c.id.not_in(under_way) if under_way else true(),
        ),
    )


async def anything_claimable(
    view: Reading, *, now: datetime, without: Sequence[str], under_way: Sequence[str] = ()
) -> bool:
    """Tell whether any delivery waits to be sent, leaving out these lanes."""
    query = select(deliveries.c.id).where(
        _claimable(now, under_way), deliveries.c.lane.not_in(without) if without else true()
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
            deliveries.c.purpose.not_in([*CUSTOMER_MAIL_KINDS, *ALSO_WHEN_DONE]),
            done,
        )
        .values(state=State.HELD, reason=TASK_DONE, settled_at=now)
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
    under_way: Sequence[str] = (),
) -> Sequence[Delivery]:
    """Claim what is due, the longest waiting first within a lane, fair between lanes.

    No lane gets more than ``per_lane`` (mail: ``mail_lane``) including what is in flight.
    A claim whose lease ran out is taken over; its attempt is written down as interrupted, and
    the delivery is in doubt, because its worker may have sent it. What is ``under_way`` in this
    process is never taken over by it, however long it or the clock was stopped.
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
        .where(
            _claimable(now, under_way), deliveries.c.lane.not_in(without) if without else true()
        )
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
            _claimable(now, under_way),
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
            gathering=None,  # what comes from now on is told in the next one
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
    """Keep hold of claims whose sending still goes on.

    What is being settled at the moment is passed over: it needs no lease any more, and waiting
    for it while it waits for another of ours would end in a deadlock.
    """
    ours = (
        select(deliveries.c.id)
        .where(
            deliveries.c.id.in_(ids),
            deliveries.c.token == token,
            deliveries.c.state == State.SENDING,
        )
        .with_for_update(skip_locked=True)
    )
    await tx.execute(
        update(deliveries)
        .where(deliveries.c.id.in_([row.id for row in await tx.all(ours)]))
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


async def settle(tx: Transaction, group: Sequence[Settlement], *, now: datetime) -> set[str]:
    """Write attempts and new states; return the ids of the deliveries that were still ours.

    Those whose claim was lost meanwhile are left as they are, without a trace of this attempt.
    """
    kept = await _mark_sent(
        tx, [each.delivery for each in group if isinstance(each.step, Sent)], now=now
    )
    for each in group:
        if not isinstance(each.step, Sent) and await _fenced(
            tx, each.delivery, _after(each, now)
        ):
            kept.add(each.delivery.id)
    tried = [each for each in group if each.delivery.id in kept]
    if tried:
        await tx.execute(
            tx.insert(attempts),
            [
                {
                    "delivery_id": each.delivery.id,
                    "n": each.delivery.attempts,
                    "started_at": each.started_at,
                    "milliseconds": each.milliseconds,
                    "result": each.outcome.verdict.value,
                    "reason": each.outcome.reason,
                    "code": each.outcome.code,
                    "reply": each.outcome.reply,
                }
                for each in tried
            ],
        )
    return kept


async def _mark_sent(tx: Transaction, sent: Sequence[Delivery], *, now: datetime) -> set[str]:
    """Mark what the other side took, one statement per claim."""
    kept: set[str] = set()
    for token in sorted({one.token for one in sent if one.token}):
        rows = await tx.all(
            update(deliveries)
            .where(
                deliveries.c.id.in_([one.id for one in sent if one.token == token]),
                deliveries.c.token == token,
                deliveries.c.state == State.SENDING,
            )
            .values(
                state=State.DELIVERED,
                reason=None,
                settled_at=now,
                next_attempt_at=None,
                token=None,
                lease_until=None,
            )
            .returning(deliveries.c.id)
        )
        kept |= {row.id for row in rows}
    return kept


def _after(done: Settlement, now: datetime) -> dict[str, Any]:
    """Return what changes when an attempt failed."""
    one = done.delivery
    values: dict[str, Any] = {"token": None, "lease_until": None}
    if done.outcome.verdict is Verdict.DOUBT:
        values["in_doubt"] = True
    match done.step:
        case RetryAt(when, counted):
            values |= {"state": State.DUE, "reason": done.outcome.reason}
            values |= {"next_attempt_at": when, "failures": one.failures + counted}
        case GiveUp(reason):
            values |= {"state": State.FAILED, "reason": reason, "settled_at": now}
            values |= {"next_attempt_at": None, "failures": one.failures + 1}
        case Sent():  # marked together with its like
            pass
    return values


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


async def fail_claimed(tx: Transaction, one: Delivery, *, reason: str, now: datetime) -> bool:
    """Give up a claimed delivery before an attempt was made."""
    return await _fenced(
        tx,
        one,
        {
            "state": State.FAILED,
            "reason": reason,
            "settled_at": now,
            "next_attempt_at": None,
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


async def recover_lane(
    tx: Transaction, webhook_id: str, *, since: datetime, now: datetime
) -> int:
    """Send what was held for an endpoint or failed since then, with all its tries."""
    result = await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.target == webhook_id,
            deliveries.c.state.in_([State.HELD, State.FAILED]),
            deliveries.c.created_at >= since,
        )
        .values(state=State.DUE, reason=None, settled_at=None, failures=0, next_attempt_at=now)
    )
    return result.rowcount


async def skip_lane(
    tx: Transaction, webhook_id: str, *, since: datetime, reason: str, now: datetime
) -> int:
    """Give up what is held for an endpoint since then; it stays as history."""
    result = await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.target == webhook_id,
            deliveries.c.state == State.HELD,
            deliveries.c.created_at >= since,
        )
        .values(state=State.FAILED, reason=reason, settled_at=now)
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


async def make_due_again(
    tx: Transaction, delivery_id: str, *, recipient: Mailbox | None, now: datetime
) -> bool:
    """Send a settled delivery once more, with all its tries; False while it is on its way.

    A mail goes to ``recipient``.
    """
    result = await tx.execute(
        update(deliveries)
        .where(
            deliveries.c.id == delivery_id,
            deliveries.c.state.in_([State.DELIVERED, State.FAILED, State.HELD]),
        )
        .values(
            state=State.DUE,
            reason=None,
            settled_at=None,
            failures=0,
            next_attempt_at=now,
            recipient=recipient and asdict(recipient),
        )
    )
    return result.rowcount == 1


async def doubt_what_waits(tx: Transaction) -> int:
    """Mark all that is not settled: after a restore it may have been sent since the backup."""
    result = await tx.execute(
        update(deliveries)
        .where(deliveries.c.state.in_([State.DUE, State.SENDING, State.HELD]))
        .values(in_doubt=True)
    )
    return result.rowcount
