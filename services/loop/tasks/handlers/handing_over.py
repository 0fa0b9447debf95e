"""Handing over what somebody who leaves has in hand: tasks, promises, touchpoints, rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from services.loop.journey.domain import OwnerRef, Ownership
from services.loop.journey.handlers import end_ownership, find_periods, plan_ownership
from services.loop.journey.store import codes_owned_by
from services.loop.tasks import store
from services.loop.tasks.domain.acts import Assign, HandAction
from services.loop.tasks.domain.rulebooks import names
from services.loop.tasks.handlers.acting import act_on, resolve_owner
from services.loop.tasks.handlers.ruling import published_book, put_in_place
from services.loop.tasks.handlers.sight import LEADING
from shared.db.transaction import Reading, Transaction
from shared.errors import Finding, Forbidden, Invalid
from shared.identity import audit
from shared.identity.people import wanted
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Scope

MOST_AT_ONCE: Final = 500
"""More open tasks than these are handed over in several goes."""


@dataclass(frozen=True, kw_only=True)
class InHand:
    """What somebody answers for now."""

    tasks: int
    more: bool
    """Whether there are more open tasks than are handed over at once."""
    actions: int
    """What they promised to customers and have not carried out, whoever owns the task."""
    touchpoints: Sequence[str]
    rules: Sequence[str]
    """The names of the rules that name them."""


@dataclass(frozen=True, kw_only=True)
class HandedOver:
    """What went to somebody else."""

    tasks: int
    actions: int
    touchpoints: int
    rules: int
    more: bool


async def in_hand(view: Reading, staff_id: str, *, now: datetime) -> InHand:
    """Return what a member of staff answers for; raise ``NotFound`` for nobody."""
    await wanted(view, staff_id)
    ids = await store.open_ids_of(view, staff_id, most=MOST_AT_ONCE + 1)
    book = await published_book(view)
    return InHand(
        tasks=min(len(ids), MOST_AT_ONCE),
        more=len(ids) > MOST_AT_ONCE,
        actions=sum(
            len(task.promises_of(staff_id))
            for task in await store.promised_by(view, staff_id, most=MOST_AT_ONCE)
        ),
        touchpoints=await codes_owned_by(view, staff_id, at=now),
        rules=[rule["name"] for rule in book.document["rules"] if names(rule, staff_id)],
    )


async def hand_over(
    tx: Transaction,
    staff_id: str,
    to: str,
    *,
    tasks: bool,
    touchpoints: bool,
    rules: bool = False,
    by: Principal,
    person_keys: PersonKeys,
    now: datetime,
) -> HandedOver:
    """Give open tasks, touchpoints and places in rules to somebody else, each with its history.

    With the tasks goes what was promised to customers in tasks of others. Touchpoints keep
    their departments and the ends that were planned; rules become a new version.
    """
    if by.kind == "staff" and by.role not in LEADING:
        raise Forbidden("Only somebody who leads can hand over what others have in hand.")
    if (touchpoints or rules) and not by.may(Scope.POLICIES_WRITE):
        raise Forbidden(
            "Changing touchpoints and rules takes the right to change settings. Leave them out."
        )
    person = await wanted(tx, staff_id)
    owner = await resolve_owner(tx, to, by=by)
    if owner.id == staff_id:
        raise Invalid(
            "This is the same person.",
            [
                Finding(
                    pointer="/to",
                    code="unknown_owner",
                    detail="the one whose work is handed over",
                    fix="send the id of somebody else or of a team",
                )
            ],
        )
    ids = await store.open_ids_of(tx, staff_id, most=MOST_AT_ONCE + 1) if tasks else []
    given = ids[:MOST_AT_ONCE]
    await store.lock_many(tx, given)
    for task_id in given:
        await act_on(
            tx,
            task_id,
            Assign(owner=owner, reason=f"Handed over from {person.name}"),
            by=by,
            expected=None,
            person_keys=person_keys,
            now=now,
        )
    actions = 0
    if tasks:
        actions = await _actions(tx, staff_id, owner, by=by, person_keys=person_keys, now=now)
    codes = await codes_owned_by(tx, staff_id, at=now) if touchpoints else []
    for code in codes:
        await _touchpoint(tx, code, staff_id, owner, by=by, now=now)
    put = await put_in_place(tx, staff_id, owner.id, by=by, now=now) if rules else 0
    done = HandedOver(
        tasks=len(given),
        actions=actions,
        touchpoints=len(codes),
        rules=put,
        more=len(ids) > len(given),
    )
    detail = {"to": owner.id, **asdict(done)}
    await audit.record(tx, by, "staff.handed-over", staff_id, detail, now=now)
    return done


async def _actions(
    tx: Transaction,
    staff_id: str,
    to: OwnerRef,
    *,
    by: Principal,
    person_keys: PersonKeys,
    now: datetime,
) -> int:
    """Let somebody else carry out what was promised; return how many promises that is."""
    found = await store.promised_by(tx, staff_id, most=MOST_AT_ONCE)
    await store.lock_many(tx, [task.id for task in found])
    given = [(task.id, n) for task in found for n in task.promises_of(staff_id)]
    for task_id, n in given:
        await act_on(
            tx,
            task_id,
            HandAction(n=n, owner=to),
            by=by,
            expected=None,
            person_keys=person_keys,
            now=now,
        )
    return len(given)


async def _touchpoint(
    tx: Transaction, code: str, staff_id: str, to: OwnerRef, *, by: Principal, now: datetime
) -> None:
    """Let another owner take over every period of somebody that is not over."""
    for period in await find_periods(tx, code):
        is_theirs = period.owner is not None and period.owner.id == staff_id
        if not is_theirs or (period.valid_until is not None and period.valid_until <= now):
            continue
        await end_ownership(tx, code, period.id, at=now, expected=None, by=by, now=now)
        new = Ownership(
            id="",
            owner=to,
            department_id=period.department_id,
            valid_from=max(period.valid_from, now),
            valid_until=period.valid_until,
        )
        await plan_ownership(tx, code, new, expected=None, by=by, now=now)
