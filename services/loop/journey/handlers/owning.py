"""The use cases of owning a touchpoint: who gets a task, and who is to get it from when on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.loop.journey import store
from services.loop.journey.domain import (
    Overlaps,
    OwnerRef,
    Ownership,
    Touchpoint,
    ended,
    in_force,
    planned,
)
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, Finding, Invalid, NotFound, Stale
from shared.identity import audit
from shared.identity.groups import department
from shared.identity.owners import find_owner
from shared.identity.people import staff_member
from shared.identity.principal import Principal
from shared.ids import new_id


async def owners_of(
    view: Reading, wanted: Mapping[str, tuple[str | None, datetime]]
) -> Mapping[str, OwnerRef]:
    """Return who owned these touchpoints at these moments, by the caller's keys.

    Missing is whatever nobody owned then, or nobody who can still be given work.
    """
    return await store.owners_at(
        view, {key: (code, moment) for key, (code, moment) in wanted.items() if code}
    )


async def find_periods(view: Reading, code: str) -> Sequence[Ownership]:
    """Return every period of a touchpoint, the earliest first, or raise ``NotFound``."""
    periods = await store.periods_of(view, code)
    if not periods and not await store.exists(view, code):
        raise not_found()
    return periods


async def plan_ownership(
    tx: Transaction,
    code: str,
    new: Ownership,
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
    keep_department: bool = False,
) -> tuple[Touchpoint, Ownership]:
    """Have somebody answer for a touchpoint from a moment on; return both as they are then.

    With ``keep_department`` it stays with the department that it belongs to at that moment.
    """
    touchpoint = await _changeable(tx, code, expected=expected, now=now)
    if new.valid_until is not None and new.valid_until <= max(new.valid_from, now):
        raise Invalid(
            "The period would be over before it begins.",
            [
                Finding(
                    pointer="/valid_until",
                    code="too_early",
                    detail="not after valid_from, or already past",
                    fix="send a later moment, or leave it out for an open end",
                )
            ],
        )
    before = await store.periods_of(tx, code)
    period = replace(new, id=new_id("own"))
    if keep_department and (running := in_force(before, new.valid_from)) is not None:
        period = replace(period, department_id=running.department_id)
    await check_responsible(tx, period.owner, period.department_id)
    try:
        after = planned(before, period, rest_id=new_id("own"), now=now)
    except Overlaps:
        raise Conflict(
            "Another owner's period covers a part of this one. End that one first, or send"
            " dates outside it; they stand under /owners of this touchpoint.",
            slug="overlapping-period",
        ) from None
    await store.replace_periods(tx, code, before, after)
    saved = await _bump(tx, touchpoint, now=now)
    detail = {"period": period.id, "owner": period.owner.id if period.owner else None}
    await audit.record(tx, by, "touchpoint.owner-planned", code[:80], detail, now=now)
    return saved, period


async def end_ownership(
    tx: Transaction,
    code: str,
    period_id: str,
    *,
    at: datetime,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Touchpoint:
    """End a period at a moment; one that has not begun by then never happens."""
    touchpoint = await _changeable(tx, code, expected=expected, now=now)
    before = await store.periods_of(tx, code)
    period = next((one for one in before if one.id == period_id), None)
    if period is None:
        raise NotFound("This touchpoint has no such period. List them at its /owners.")
    if period.valid_until is not None and period.valid_until <= now:
        raise Conflict("This period is over already. What has passed is not rewritten.")
    if at < now:
        raise Invalid(
            "A period cannot end in the past.",
            [
                Finding(
                    pointer="/valid_until",
                    code="in_the_past",
                    detail="what has passed is not rewritten",
                    fix="send a moment from now on, or leave it out for now",
                )
            ],
        )
    after = ended(before, period_id, at=at)
    _refuse_longer(before, after, period)
    await store.replace_periods(tx, code, before, after)
    saved = await _bump(tx, touchpoint, now=now)
    detail = {"period": period_id}
    await audit.record(tx, by, "touchpoint.owner-ended", code[:80], detail, now=now)
    return saved


def _refuse_longer(
    before: Sequence[Ownership], after: Sequence[Ownership], period: Ownership
) -> None:
    """Refuse an end that would reach into the next period."""
    later = next((one for one in after if one.id == period.id), None)
    if later is None:
        return
    if any(later.overlaps(other) for other in before if other.id != period.id):
        raise Conflict(
            "Another owner's period begins before that. Send an earlier end.",
            slug="overlapping-period",
        )


async def check_responsible(
    view: Reading, owner: OwnerRef | None, department_id: str | None
) -> None:
    """Refuse an owner who is nobody or can be given no work, and an unknown department."""
    findings = []
    if owner is not None and not await _can_own(view, owner):
        findings.append(
            Finding(
                pointer="/owner",
                code="unknown_owner",
                detail="neither an active member of staff nor a team",
                fix="send an id of /v1/staff with kind person, or of /v1/teams with kind team",
            )
        )
    if department_id is not None and await department(view, department_id) is None:
        findings.append(
            Finding(
                pointer="/department_id",
                code="unknown_department",
                detail="there is no such department",
                fix="send an id of /v1/departments",
            )
        )
    if findings:
        raise Invalid("The touchpoint names somebody who does not exist.", findings)


async def _can_own(view: Reading, owner: OwnerRef) -> bool:
    if owner.kind == "person":
        person = await staff_member(view, owner.id)
        return person is not None and person.active
    return await find_owner(view, owner.id, owner.kind) is not None


async def _changeable(
    tx: Transaction, code: str, *, expected: int | None, now: datetime
) -> Touchpoint:
    await store.lock(tx, [code])
    touchpoint = await store.find(tx, code, at=now)
    if touchpoint is None:
        raise not_found()
    if expected is not None and expected != touchpoint.version:
        raise stale(touchpoint.version)
    if touchpoint.alias_of is not None:
        raise stands_for_another()
    return touchpoint


async def _bump(tx: Transaction, touchpoint: Touchpoint, *, now: datetime) -> Touchpoint:
    """Write that something about the touchpoint changed; describe it by that."""
    saved = replace(touchpoint, mapped=True, version=touchpoint.version + 1)
    if not await store.save(tx, saved):
        raise stale(saved.version)
    return await store.find(tx, touchpoint.code, at=now) or saved


def not_found() -> NotFound:
    """Return the refusal for a code that is no touchpoint."""
    return NotFound("There is no touchpoint with this code. List them at /v1/touchpoints.")


def stale(current: int) -> Stale:
    """Return the refusal for a version that is no longer the current one."""
    return Stale(
        "Somebody changed this touchpoint meanwhile. Read it again and repeat the change.",
        extra={"version": current},
    )


def stands_for_another() -> Conflict:
    """Return the refusal to change what only stands for another touchpoint."""
    return Conflict(
        "This code stands for another touchpoint. Change that one, or send alias_of null"
        " first.",
        slug="stands-for-another",
    )
