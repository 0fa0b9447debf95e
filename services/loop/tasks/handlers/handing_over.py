"""Handing over what somebody who leaves has in hand: open tasks and touchpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loop.journey.domain import OwnerRef, Ownership
from services.loop.journey.handlers import end_ownership, find_periods, plan_ownership
from services.loop.journey.store import codes_owned_by
from services.loop.tasks import store
from services.loop.tasks.domain.acts import Assign
from services.loop.tasks.handlers.acting import act_on, resolve_owner
from services.loop.tasks.handlers.ruling import published_book
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
    touchpoints: Sequence[str]
    rules: Sequence[str]
    """The names of the rules that name them."""


@dataclass(frozen=True, kw_only=True)
class HandedOver:
    """What went to somebody else."""

    tasks: int
    touchpoints: int
    more: bool


async def in_hand(view: Reading, staff_id: str, *, now: datetime) -> InHand:
    """Return what a member of staff answers for; raise ``NotFound`` for nobody."""
    await wanted(view, staff_id)
    ids = await store.open_ids_of(view, staff_id, most=MOST_AT_ONCE + 1)
    book = await published_book(view)
    return InHand(
        tasks=min(len(ids), MOST_AT_ONCE),
        more=len(ids) > MOST_AT_ONCE,
        touchpoints=await codes_owned_by(view, staff_id, at=now),
        rules=[
            rule["name"]
            for rule in book.document["rules"]
            if staff_id in {rule["owner"]["id"], rule["owner"]["deputy"]}
        ],
    )


async def hand_over(
    tx: Transaction,
    staff_id: str,
    to: str,
    *,
    tasks: bool,
    touchpoints: bool,
    by: Principal,
    person_keys: PersonKeys,
    now: datetime,
) -> HandedOver:
    """Give the open tasks, the touchpoints or both to somebody else, each with its history.

    Touchpoints keep their departments and the ends that were planned.
    """
    if by.kind == "staff" and by.role not in LEADING:
        raise Forbidden("Only somebody who leads can hand over what others have in hand.")
    if touchpoints and not by.may(Scope.POLICIES_WRITE):
        raise Forbidden("Changing who owns touchpoints takes the right to change settings.")
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
    codes = await codes_owned_by(tx, staff_id, at=now) if touchpoints else []
    for code in codes:
        await _touchpoint(tx, code, staff_id, owner, by=by, now=now)
    detail = {"to": owner.id, "tasks": len(given), "touchpoints": len(codes)}
    await audit.record(tx, by, "staff.handed-over", staff_id, detail, now=now)
    return HandedOver(tasks=len(given), touchpoints=len(codes), more=len(ids) > len(given))


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
