"""Forgetting by itself whose time is over, on the path of every other erasure.

A run writes down a request with as many persons as one takes; what is to go of each is decided
when their turn comes. While one is under way no other is begun, so whoever was found once is
not found again, and a killed process goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from services.ingest import store
from services.ingest.handlers.persons.forgetting import forget, forget_responses
from shared.clock import next_quiet_hour
from shared.db import leases
from shared.errors import Conflict, Finding, Invalid, Stale
from shared.identity import audit, retention
from shared.identity.forgetting import refs_of
from shared.identity.installation import organisation
from shared.identity.person_requests import (
    SERVICES,
    list_requests,
    open_request,
    record_part,
)
from shared.identity.retention import PERIODS, SOON, Counts, Kind, Policy, over_before

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.ingest.handlers.commands import Ingest
    from services.ingest.store import Aged
    from shared.db.transaction import Reading, Transaction
    from shared.identity.person_requests import PersonRequest
    from shared.identity.principal import Principal

PERSONS_AT_ONCE: Final = 1_000
_LEASE: Final = "ingest.retention"
_LASTING: Final = timedelta(seconds=30)
_NOBODY: Final = store.Aged(persons=0, responses=0)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What holds, and what it will forget."""

    policy: Policy
    due: Aged
    """What the next run forgets."""
    soon: Aged
    """What has gone in thirty days, with what is due now."""
    waiting: int
    """Persons whose time is over and whose open task still needs them."""
    last_run: datetime | None
    next_run: datetime | None
    """None where data are kept for ever, or nobody has begun here yet."""
    others: Mapping[Kind, Counts]
    """What else goes, as far as it has been counted by the policy that holds."""


async def outlook(view: Reading, *, now: datetime, policy: Policy | None = None) -> Outlook:
    """Say what will be forgotten, by the policy that holds or by one that might."""
    last = await retention.last_run(view)
    held = policy or await retention.policy(view)
    others = await retention.counts(view)
    if held.months is None:
        return Outlook(
            policy=held,
            due=_NOBODY,
            soon=_NOBODY,
            waiting=0,
            last_run=last,
            next_run=None,
            others=others,
        )
    before = over_before(now, held.months)
    return Outlook(
        policy=held,
        due=await store.aged(view, before=before),
        soon=await store.aged(view, before=over_before(now + SOON, held.months)),
        waiting=await store.waiting(view, before=before),
        last_run=last,
        next_run=await _next_run(view),
        others=others,
    )


async def change_policy(
    tx: Transaction,
    periods: Mapping[str, int | None],
    *,
    sure: bool,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Policy:
    """Let other periods hold; those that are not named stay.

    Raises ``Invalid`` for one that is none, ``Stale``, and ``Conflict`` where a shorter one
    forgets something for good and nobody has said to be sure.
    """
    _require_periods(periods)
    held = await retention.policy(tx)
    if expected is not None and expected != held.version:
        raise Stale(
            "Somebody changed the periods meanwhile. Read them again, then decide.",
            extra={"version": held.version},
        )
    before = held.periods()
    changed = {name: n for name, n in periods.items() if n != before[name]}
    if not changed:
        return held
    new = held.with_periods(changed, version=held.version + 1)
    shorter = [name for name, n in changed.items() if _is_shorter(n, before[name])]
    if shorter and not sure:
        await _require_nothing_goes(tx, new, shorter, now=now)
    await retention.note_policy(tx, new, now=now)
    detail = {name: {"from": before[name], "to": n} for name, n in changed.items()}
    await audit.record(tx, by, "retention.changed", "retention", detail, now=now)
    return new


def _require_periods(periods: Mapping[str, int | None]) -> None:
    """Raise ``Invalid`` for periods that are too short or too long."""
    findings = [
        Finding(
            pointer=f"/{name}",
            code="out_of_range",
            detail=f"must be {may.least} to {may.most} {may.unit}, or null",
            fix=f"send {may.least} to {may.most}, or null to keep for ever",
        )
        for name, n in periods.items()
        if n is not None and not (may := PERIODS[name]).least <= n <= may.most
    ]
    if findings:
        raise Invalid("A period is too short or too long.", findings)


async def _require_nothing_goes(
    view: Reading, new: Policy, shorter: Sequence[str], *, now: datetime
) -> None:
    """Raise ``Conflict`` unless shorter periods forget nothing.

    What lies with other services is counted by them once the period holds: of that nobody
    can say beforehand that there is nothing.
    """
    extra: dict[str, object] = {}
    said = []
    if "customers_months" in shorter:
        due = (await outlook(view, now=now, policy=new)).due
        if due.persons:
            extra = {"persons": due.persons, "responses": due.responses}
            said.append(
                f"With this period the next run forgets something of {due.persons} persons"
                f" for good, in {due.responses} responses."
            )
    if shorter != ["customers_months"]:
        said.append("What is older than a shorter period goes for good within the hour.")
    if said:
        raise Conflict(f"{' '.join(said)} Send confirm: true to mean it.", extra=extra)


def _is_shorter(new: int | None, held: int | None) -> bool:
    return new is not None and (held is None or new < held)


async def is_due(view: Reading, *, now: datetime) -> bool:
    """Tell whether the quiet hour has come since the last run, and there is something to do."""
    if (await retention.policy(view)).months is None:
        return False
    at = await _next_run(view)
    return at is not None and at <= now and not await _under_way(view)


async def run(
    tx: Transaction, ingest: Ingest, *, token: str, by: Principal, now: datetime
) -> PersonRequest | None:
    """Ask for the erasure of the next persons whose time is over; None where there is nobody.

    One that finds fewer than it could take was the last; None also while somebody else runs.
    """
    if not await leases.take(tx, _LEASE, token=token, lasting=_LASTING):
        return None
    months = (await retention.policy(tx)).months
    if months is None or await _under_way(tx):
        return None
    before = over_before(now, months)
    found = await store.aged_persons(tx, before=before, limit=PERSONS_AT_ONCE)
    if len(found) < PERSONS_AT_ONCE:
        await retention.note_run(tx, now=now)
    if not found:
        return None
    request = await open_request(
        tx,
        "erasure",
        keyring=ingest.keyring,
        asked_by=by.id,
        now=now,
        reason="retention",
        found=found,
    )
    detail = {"persons": len(found), "months": months}
    await audit.record(tx, by, "retention.started", request.id, detail, now=now)
    return request


async def expire(
    tx: Transaction, ingest: Ingest, request_id: str, ref: str, *, now: datetime
) -> None:
    """Forget what is too old of one person, as things stand now.

    All of them, where nothing is younger; nothing, while a task of theirs is open.
    """
    months = (await retention.policy(tx)).months
    old = None
    if months is not None:
        refs = await refs_of(tx, ref)
        old = await store.expired(tx, refs, before=over_before(now, months))
    ids = [] if old is None or old.has_open_task else old.response_ids
    # Whoever asked to be forgotten meanwhile has nothing left: they must stay forgotten, while
    # retention lets its people return.
    if old is not None and old.whole and ids:
        await forget(tx, ingest, request_id, ref, reason="retention", now=now)
        return
    if not ids:  # things changed since they were found: nobody need hear of it
        for service in SERVICES:
            await record_part(tx, request_id, service, counts={}, now=now)
        return
    await forget_responses(tx, ingest, request_id, ref, ids, reason="retention", now=now)
    detail = {"request": request_id, "reason": "retention", "responses": len(ids)}
    await audit.record(tx, audit.SYSTEM, "person.partly-erased", ref, detail, now=now)


async def _under_way(view: Reading) -> bool:
    return bool(await list_requests(view, limit=1, state="working", reason="retention"))


async def _next_run(view: Reading) -> datetime | None:
    """Return the quiet hour after the last run, or after the beginning of all."""
    since = await retention.last_run(view) or await retention.begun_at(view)
    if since is None:
        return None
    here = await organisation(view)
    return next_quiet_hour(since, ZoneInfo(here.time_zone if here else "UTC"))
