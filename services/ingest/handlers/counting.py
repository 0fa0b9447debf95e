"""What became of what a source sent, counted in the transaction that decided it.

Accepted responses are counted where they lie. Everything else adds to the tallies of its source
and day: in the transaction that recorded its neighbours, or, where nothing is recorded, in a
commit that refusals of the same moment share. The answer goes out after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from services.ingest import store
from services.ingest.domain.sources import Outcome
from services.ingest.store import Count, Sample
from shared.errors import Invalid, Refused
from shared.faults import fault_point
from shared.figures import refusals
from shared.ids import new_id

if TYPE_CHECKING:
    from datetime import datetime

    from services.ingest.handlers.commands import Ingest, RecordResponse
    from services.ingest.handlers.commands import Outcome as Recorded_
    from shared.db.transaction import Transaction
    from shared.sealing import Keyring

AGAIN: Final = "idempotency_key"
"""Why something was a duplicate that came again under its Idempotency-Key."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What is counted of one call of which nothing was recorded, and the call itself."""

    source: str
    counts: Sequence[Count]
    sample: Sample | None = field(default=None, repr=False)


async def count(
    ingest: Ingest, source: str, counts: Sequence[Count], *, sample: Sample | None = None
) -> None:
    """Count what a call came to that recorded nothing; durable when this returns."""
    await ingest.count.submit(Counted(source=source, counts=counts, sample=sample))


async def count_refusal(
    ingest: Ingest,
    source: str,
    reason: str,
    *,
    outcome: Literal["rejected", "refused"] = "refused",
    sample: Sample | None = None,
) -> None:
    """Count one call that was not taken, under a stable code; durable when this returns."""
    await count(ingest, source, [(outcome, reason, 1)], sample=sample)


async def count_many(
    tx: Transaction, counted: Sequence[Counted], *, now: datetime, keyring: Keyring
) -> Sequence[None]:
    """Write counts and samples of calls that arrived together."""
    await store.keep_payloads(
        tx,
        [(new_id("pay"), one.source, one.sample) for one in counted if one.sample is not None],
        keyring=keyring,
        at=now,
    )
    await store.add_tallies_of(
        tx,
        [(one.source, *count) for one in counted for count in one.counts],
        now.date(),
    )
    tx.after_commit(partial(_number, [each for one in counted for each in one.counts]))
    fault_point("ingest.counted")
    return [None] * len(counted)


async def count_recorded(
    tx: Transaction,
    commands: Sequence[RecordResponse],
    outcomes: Sequence[Recorded_],
    besides: Sequence[tuple[str, Outcome, str, int]] = (),
    *,
    now: datetime,
) -> None:
    """Count duplicates, revisions and rejections; the last statement of their transaction.

    New responses cost nothing here. ``besides`` is what the same call brought that was never
    a command: rows that could not be read, payloads that were ignored.
    """
    counts = [
        (command.source, *named)
        for command, outcome in zip(commands, outcomes, strict=True)
        if (named := _named(outcome)) is not None
    ]
    whole = [*counts, *besides]
    await store.add_tallies_of(tx, whole, now.date())
    tx.after_commit(partial(_number, [(outcome, why, n) for _, outcome, why, n in whole]))


def _number(counts: Sequence[Count]) -> None:
    """Add what was refused to the number that operators watch; codes of ours, never a name."""
    for outcome, reason, n in counts:
        if outcome in {"refused", "rejected"}:
            refusals.labels(reason or outcome).inc(n)


def _named(outcome: Recorded_) -> Count | None:
    if isinstance(outcome, Refused):
        kind, reason = refusal_reason(outcome)
        return kind, reason, 1
    if outcome.duplicate or outcome.replayed:
        return "duplicate", AGAIN if outcome.replayed else "", 1
    return ("revised", "", 1) if outcome.revision > 1 else None


def refusal_reason(error: Refused) -> tuple[Literal["rejected", "refused"], str]:
    """Return how a refusal is counted: what was read and broke a rule, or what was not."""
    if isinstance(error, Invalid):
        return "rejected", error.findings[0].code if error.findings else "invalid"
    code = error.extra.get("code")
    return "refused", code if isinstance(code, str) else error.slug.replace("-", "_")
