"""Answers promised under an Idempotency-Key: the same request gets the same answer.

A key is claimed in the transaction that does the work, so that no marker can outlive a crash;
two requests under one key wait for each other at its row.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from services.ingest import store
from services.ingest.handlers.commands import Outcome, Recorded
from services.ingest.store import Promise
from shared.errors import key_reused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.ingest.handlers.commands import RecordResponse
    from shared.db.transaction import Transaction
    from shared.sealing import Keyring

_ROUTE = "POST /v1/responses"


def meanings(keyring: Keyring, purpose: str, *parts: str) -> list[str]:
    """Return the digest of a meaning, and the former secret's while it is being replaced."""
    message = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return [hmac.digest(key, message, sha256).hex() for key in keyring.subkeys(purpose)]


def key_digest(keyring: Keyring, source: str, route: str, key: str) -> str:
    """Return under what an Idempotency-Key is remembered."""
    return keyring.mac("idempotency-keys", source, route, key)


async def claim_promises(
    tx: Transaction, fingerprints: Mapping[str, str], *, now: datetime
) -> dict[str, Promise]:
    """Claim these keys; return the promises of those that were given before."""
    digests = sorted(fingerprints)
    given = await store.find_promises(tx, digests)
    stale = [key for key, one in given.items() if one.is_stale(now)]
    await store.drop_promises(tx, stale)
    for digest in stale:
        del given[digest]
    wanted = [
        Promise(key_digest=digest, fingerprint=fingerprints[digest], answer={}, created_at=now)
        for digest in digests
        if digest not in given
    ]
    claimed = await store.add_promises(tx, wanted)
    beaten = [one.key_digest for one in wanted if one.key_digest not in claimed]
    return given | await store.find_promises(tx, beaten) if beaten else given


@dataclass(slots=True)
class Promised:
    """The keys of one batch: claimed for a command, or waiting for an earlier one's answer."""

    claimed: dict[str, int] = field(default_factory=dict)
    later: dict[int, int] = field(default_factory=dict)


async def begin(
    tx: Transaction,
    keyring: Keyring,
    commands: Sequence[RecordResponse],
    prints: Sequence[Sequence[str]],
    outcomes: dict[int, Outcome],
    *,
    now: datetime,
) -> Promised:
    """Answer what was answered before under the same key; claim the other keys."""
    promised = Promised()
    keyed = {
        n: key_digest(keyring, command.source, _ROUTE, key)
        for n, command in enumerate(commands)
        if (key := command.idempotency_key) is not None
    }
    if not keyed:
        return promised
    first: dict[str, int] = {}
    for n, digest in keyed.items():
        if first.setdefault(digest, n) != n:
            promised.later[n] = first[digest]
            if prints[n] != prints[first[digest]]:
                outcomes[n] = key_reused()
    given = await claim_promises(
        tx, {digest: prints[n][0] for digest, n in first.items()}, now=now
    )
    for digest, n in first.items():
        if (promise := given.get(digest)) is None:
            promised.claimed[digest] = n
        elif promise.fingerprint in prints[n]:
            outcomes[n] = Recorded(**promise.answer, replayed=True)
        else:
            outcomes[n] = key_reused()
    return promised


async def settle(tx: Transaction, promised: Promised, outcomes: dict[int, Outcome]) -> None:
    """Write the answers down; a refused request leaves its key free."""
    for n, first in promised.later.items():
        outcome = outcomes[first]
        if n not in outcomes:
            outcomes[n] = (
                replace(outcome, replayed=True) if isinstance(outcome, Recorded) else outcome
            )
    answers: dict[str, dict[str, Any]] = {}
    refused: list[str] = []
    for digest, n in promised.claimed.items():
        outcome = outcomes[n]
        if isinstance(outcome, Recorded):
            answers[digest] = {
                "id": outcome.id,
                "duplicate": outcome.duplicate,
                "revision": outcome.revision,
            }
        else:
            refused.append(digest)
    await store.keep_promises(tx, answers)
    await store.drop_promises(tx, refused)
