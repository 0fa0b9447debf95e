"""The use cases of being away or having enough: who gets the new tasks instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.loop.journey import store
from services.loop.journey.domain import Absence, Workload
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, Finding, Forbidden, Invalid, NotFound, Stale
from shared.identity import audit
from shared.identity.owners import able
from shared.identity.people import wanted
from shared.identity.principal import Principal, Role
from shared.ids import new_id

_LEADING: Final = frozenset({Role.LEAD, Role.DEPARTMENT_HEAD, Role.ADMIN})


def may_decide_for(by: Principal, staff_id: str) -> bool:
    """Tell whether ``by`` may say that this person is away: that person, and who leads."""
    return by.kind == "key" or by.id == staff_id or by.role in _LEADING


async def absences_from(view: Reading, now: datetime) -> Sequence[Absence]:
    """Return who is away now or will be, the earliest first."""
    return await store.absences_between(view, now, None)


async def note_absence(
    tx: Transaction, new: Absence, *, by: Principal, now: datetime
) -> Absence:
    """Write that somebody will be away; ``id`` is given here, and a past beginning is now."""
    if not may_decide_for(by, new.staff_id):
        raise Forbidden("Only this person, or somebody who leads, can say that.")
    begins_at = max(new.begins_at, now)
    findings = await _of_deputy(tx, new.staff_id, new.deputy_id)
    if not (await wanted(tx, new.staff_id)).active:
        findings.append(
            Finding(
                pointer="/staff_id",
                code="unknown_staff",
                detail="nobody active works here under this id",
                fix="send an id of /v1/staff",
            )
        )
    if new.ends_at is not None and new.ends_at <= begins_at:
        findings.append(
            Finding(
                pointer="/ends_at",
                code="too_early",
                detail="not after the beginning, or already past",
                fix="send a later moment, or leave it out for an open end",
            )
        )
    if findings:
        raise Invalid("The absence cannot be kept like this.", findings)
    absence = replace(new, id=new_id("abs"), begins_at=begins_at)
    await store.add_absence(tx, absence)
    detail = {"staff": absence.staff_id, "deputy": absence.deputy_id}
    await audit.record(tx, by, "absence.noted", absence.id, detail, now=now)
    return absence


async def end_absence(
    tx: Transaction, absence_id: str, *, by: Principal, now: datetime
) -> None:
    """Say that somebody is back, or will not be away after all."""
    absence = await store.find_absence(tx, absence_id)
    if absence is None:
        raise NotFound("There is no such absence. List them at /v1/absences.")
    if not may_decide_for(by, absence.staff_id):
        raise Forbidden("Only this person, or somebody who leads, can say that.")
    if absence.ends_at is not None and absence.ends_at <= now:
        raise Conflict("This absence is over already.")
    await store.end_absence(tx, absence_id, at=now)
    await audit.record(tx, by, "absence.ended", absence_id, now=now)


async def workloads(view: Reading) -> Mapping[str, Workload]:
    """Return the limits of everybody who has one, by person."""
    return await store.workloads_of(view)


async def limit_workload(
    tx: Transaction,
    staff_id: str,
    *,
    most_open: int | None,
    deputy_id: str | None,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Workload:
    """Say how many open tasks somebody is given at most; None takes the limit away.

    ``expected`` is the version of the limit that was read, 0 where there was none.
    """
    if by.kind == "staff" and by.role not in _LEADING:
        raise Forbidden("Only somebody who leads can say that.")
    await wanted(tx, staff_id)
    if findings := await _of_deputy(tx, staff_id, deputy_id):
        raise Invalid("The limit cannot be kept like this.", findings)
    before = (await store.workloads_of(tx)).get(staff_id)
    version = before.version if before else 0
    if expected is not None and expected != version:
        raise _stale(version)
    load = Workload(
        staff_id=staff_id, most_open=most_open, deputy_id=deputy_id, version=version + 1
    )
    if not await store.save_workload(tx, load):
        raise _stale(load.version)
    detail = {"most_open": most_open, "deputy": deputy_id}
    await audit.record(tx, by, "workload.limited", staff_id, detail, now=now)
    return load


async def _of_deputy(view: Reading, staff_id: str, deputy_id: str | None) -> list[Finding]:
    if deputy_id is None:
        return []
    if deputy_id != staff_id and await able(view, [deputy_id]):
        return []
    return [
        Finding(
            pointer="/deputy_id",
            code="unknown_owner",
            detail="neither somebody else who is active nor a team",
            fix="send the id of another member of staff or of a team, or leave it out",
        )
    ]


def _stale(current: int) -> Stale:
    return Stale(
        "Somebody changed this limit meanwhile. Read it again and repeat the change.",
        extra={"version": current},
    )
