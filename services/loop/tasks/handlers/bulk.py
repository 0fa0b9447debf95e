"""The same act on many tasks: tried first, done in one go, and taken back.

Trying is doing without keeping it, so a preview says exactly what would happen. Each task gets
its own line of history. What would speak for the customer is never done in bulk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn, cast

from services.loop.journey.domain import OwnerRef
from services.loop.tasks import store
from services.loop.tasks.domain.acts import Act, Assign, Close, Reopen, Resume, Snooze, Wait
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.handlers.acting import act_on
from services.loop.tasks.store import BulkAct, BulkItem, BulkName
from shared.db.transaction import Database, Reading, Transaction
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Stale
from shared.identity import audit
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.ids import new_id

MOST: Final = 200
UNDO_FOR: Final = timedelta(minutes=10)
"""How long it can be taken back; afterwards others have seen it and gone on."""

InBulk = Assign | Snooze | Wait | Close
_NEAR: Final = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A task that the act is not possible on, and why."""

    task_id: str
    why: Refused


@dataclass(frozen=True, kw_only=True)
class BulkOutcome:
    """What an act on many tasks leads to."""

    done: Sequence[BulkItem]
    skipped: Sequence[Skipped]
    id: str = ""
    """By which it can be taken back; nothing for a trial, and where nothing was done."""


class _OnlyTried(Exception):
    """The end of a trial: it leads out of the transaction, and nothing is kept."""

    def __init__(self, outcome: BulkOutcome) -> None:
        super().__init__("only tried")
        self.outcome = outcome


async def try_in_bulk(
    database: Database,
    versions: Mapping[str, int],
    act: InBulk,
    *,
    by: Principal,
    person_keys: PersonKeys,
    now: datetime,
) -> BulkOutcome:
    """Return what ``do_in_bulk`` would lead to."""

    async def trial() -> NoReturn:
        async with database.transaction() as tx:
            raise _OnlyTried(
                await _each(tx, versions, act, by=by, person_keys=person_keys, now=now)
            )

    try:
        await trial()
    except _OnlyTried as tried:
        return tried.outcome


async def do_in_bulk(
    tx: Transaction,
    versions: Mapping[str, int],
    act: InBulk,
    *,
    by: Principal,
    person_keys: PersonKeys,
    now: datetime,
) -> BulkOutcome:
    """Carry an act out on each of these tasks that it is possible on.

    ``versions`` says as which version the caller has seen each task.
    """
    outcome = await _each(tx, versions, act, by=by, person_keys=person_keys, now=now)
    if not outcome.done:
        return outcome
    bulk = BulkAct(
        id=new_id("blk"),
        staff_id=by.id,
        act=cast("BulkName", act.NAME),
        done=outcome.done,
        at=now,
    )
    await store.add_bulk(tx, bulk, forget_before=now - UNDO_FOR)
    await audit.record(
        tx,
        by,
        "tasks.changed_in_bulk",
        bulk.id,
        {"act": act.NAME, "done": len(outcome.done), "skipped": len(outcome.skipped)},
        now=now,
    )
    return BulkOutcome(done=outcome.done, skipped=outcome.skipped, id=bulk.id)


async def find_undoable(
    view: Reading, bulk_id: str, *, by: Principal, now: datetime
) -> BulkAct | None:
    """Return what this person did in bulk and can still take back."""
    return await store.find_bulk(view, bulk_id, staff_id=by.id, since=now - UNDO_FOR)


async def take_back(
    tx: Transaction,
    bulk_id: str,
    *,
    by: Principal,
    reason: str,
    person_keys: PersonKeys,
    now: datetime,
) -> BulkOutcome:
    """Undo it on each task that nobody has touched since; raise ``NotFound`` if it is late."""
    bulk = await find_undoable(tx, bulk_id, by=by, now=now)
    if bulk is None or not await store.drop_bulk(tx, bulk_id):
        raise NotFound("This can no longer be taken back. Open the tasks one by one.")
    done, skipped = [], []
    for item in sorted(bulk.done, key=lambda one: one.task_id):
        try:
            task = await act_on(
                tx,
                item.task_id,
                _opposite(bulk, item, reason=reason, now=now),
                by=by,
                expected=item.version,
                person_keys=person_keys,
                now=now,
            )
        except (Conflict, Stale, Forbidden, NotFound) as refusal:
            skipped.append(Skipped(task_id=item.task_id, why=refusal))
        else:
            done.append(
                BulkItem(
                    task_id=task.id,
                    version=task.version,
                    owner_id=task.owner.id,
                    owner_kind=task.owner.kind,
                )
            )
    await audit.record(
        tx,
        by,
        "tasks.bulk_taken_back",
        bulk_id,
        {"act": bulk.act, "done": len(done), "skipped": len(skipped)},
        now=now,
    )
    return BulkOutcome(done=done, skipped=skipped)


def _opposite(bulk: BulkAct, item: BulkItem, *, reason: str, now: datetime) -> Act:
    match bulk.act:
        case "assign":
            owner = OwnerRef(id=item.owner_id, kind=item.owner_kind)
            return Assign(owner=owner, reason=reason)
        case "wait":
            return Resume()
        case "snooze":
            return Snooze(until=now + _NEAR)
        case "close":
            return Reopen(reason=reason)


async def _each(
    tx: Transaction,
    versions: Mapping[str, int],
    act: InBulk,
    *,
    by: Principal,
    person_keys: PersonKeys,
    now: datetime,
) -> BulkOutcome:
    done, skipped = [], []
    # In one order everywhere, so that two people never wait for each other.
    for task_id, version in sorted(versions.items())[:MOST]:
        try:
            before = await _before(tx, task_id, act)
            task = await act_on(
                tx,
                task_id,
                act,
                by=by,
                expected=version,
                person_keys=person_keys,
                now=now,
            )
        except (Conflict, Stale, Forbidden, NotFound, Invalid) as refusal:
            skipped.append(Skipped(task_id=task_id, why=refusal))
        else:
            done.append(
                BulkItem(
                    task_id=task_id,
                    version=task.version,
                    owner_id=before.owner.id,
                    owner_kind=before.owner.kind,
                )
            )
    return BulkOutcome(done=done, skipped=skipped)


async def _before(tx: Transaction, task_id: str, act: InBulk) -> FollowUpTask:
    """Return the task as it is; whoever was promised something is not closed in passing."""
    task = await store.find(tx, task_id)
    if task is None:
        raise NotFound("There is no task with this id.")
    if isinstance(act, Close) and task.owes:
        raise Conflict(
            "Something was promised to this customer. Close this task by itself.",
            extra={"missing": ["promised"]},
        )
    return task
