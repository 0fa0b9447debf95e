"""Forgetting by itself whose time is over, on the path of every other erasure.

A run writes down a request with as many persons as one takes; what is to go of each is decided
when their turn comes. While one is under way no other is begun, so whoever was found once is
not found again, and a killed process goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from services.ingest import store
from services.ingest.domain.retention import SOON, over_before
from services.ingest.handlers.persons.forgetting import forget, forget_responses
from shared.clock import next_quiet_hour
from shared.db import leases
from shared.errors import Conflict, Invalid, Stale
from shared.identity import audit, retention
from shared.identity.forgetting import refs_of
from shared.identity.installation import organisation
from shared.identity.person_requests import (
    SERVICES,
    list_requests,
    open_request,
    record_part,
)
from shared.identity.retention import MOST_MONTHS, Policy

if TYPE_CHECKING:
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


async def outlook(view: Reading, *, now: datetime, policy: Policy | None = None) -> Outlook:
    """Say what will be forgotten, by the policy that holds or by one that might."""
    last = await retention.last_run(view)
    held = policy or await retention.policy(view)
    if held.months is None:
        return Outlook(
            policy=held, due=_NOBODY, soon=_NOBODY, waiting=0, last_run=last, next_run=None
        )
    before = over_before(now, held.months)
    return Outlook(
        policy=held,
        due=await store.aged(view, before=before),
        soon=await store.aged(view, before=over_before(now + SOON, held.months)),
        waiting=await store.waiting(view, before=before),
        last_run=last,
        next_run=await _next_run(view),
    )


async def change_policy(
    tx: Transaction,
    months: int | None,
    *,
    sure: bool,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Policy:
    """Let another period hold.

    Raises ``Invalid`` for one that is none, ``Stale``, and ``Conflict`` where a shorter one
    forgets somebody at once and nobody has said to be sure.
    """
    if months is not None and not 1 <= months <= MOST_MONTHS:
        raise Invalid(f"Keep data for 1 to {MOST_MONTHS} months, or for ever.")
    held = await retention.policy(tx)
    if expected is not None and expected != held.version:
        raise Stale(
            "Somebody changed the period meanwhile. Read it again, then decide.",
            extra={"version": held.version},
        )
    if months == held.months:
        return held
    new = replace(held, version=held.version + 1, months=months)
    shorter = months is not None and (held.months is None or months < held.months)
    if shorter and not sure:
        due = (await outlook(tx, now=now, policy=new)).due
        if due.persons:
            raise Conflict(
                f"With this period the next run forgets something of {due.persons} persons"
                f" for good, in {due.responses} responses. Send confirm: true to mean it.",
                extra={"persons": due.persons, "responses": due.responses},
            )
    await retention.note_policy(tx, new, now=now)
    detail = {"from": held.months, "to": months}
    await audit.record(tx, by, "retention.changed", "retention", detail, now=now)
    return new


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
