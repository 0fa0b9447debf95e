"""Answers promised under an Idempotency-Key: the same request gets the same answer.

Recording has a way of its own to what ``shared.web.idempotency`` does for other routes: a group
of responses is one transaction, and each of them may have its key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from services.ingest.handlers.commands import Outcome, Recorded
from shared.db import requests
from shared.errors import key_reused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.ingest.handlers.commands import RecordResponse
    from shared.db.requests import Known
    from shared.db.transaction import Transaction
    from shared.sealing import Keyring

_ROUTE: Final = "POST /v1/responses"
_ANSWERS: Final = "idempotent-answers"


def meanings(keyring: Keyring, purpose: str, *parts: str) -> list[str]:
    """Return the digest of a meaning, and the former secret's while it is being replaced."""
    return [*keyring.macs(purpose, *parts)]


def key_digest(keyring: Keyring, source: str, route: str, key: str) -> str:
    """Return under what an Idempotency-Key is remembered."""
    return keyring.mac("idempotency-keys", source, route, key)


def sealed(keyring: Keyring, digest: str, answer: Mapping[str, Any]) -> bytes:
    """Return an answer as it is kept."""
    return keyring.seal(_ANSWERS, json.dumps(answer).encode(), context=digest)


def opened(keyring: Keyring, known: Known, prints: Sequence[str]) -> dict[str, Any]:
    """Return the answer that was given; raise ``Invalid`` if the meaning was another."""
    if known.fingerprint not in prints:
        raise key_reused()
    plain = keyring.open(_ANSWERS, known.sealed_answer, context=known.key_digest)
    answer: dict[str, Any] = json.loads(plain)
    return answer


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
    given = await requests.claim(
        tx, {digest: prints[n][0] for digest, n in first.items()}, now=now
    )
    for digest, n in first.items():
        if (known := given.get(digest)) is None:
            promised.claimed[digest] = n
        elif known.fingerprint in prints[n]:
            outcomes[n] = Recorded(**opened(keyring, known, prints[n]), replayed=True)
        else:
            outcomes[n] = key_reused()
    return promised


async def settle(
    tx: Transaction, keyring: Keyring, promised: Promised, outcomes: dict[int, Outcome]
) -> None:
    """Write the answers down; a refused request leaves its key free."""
    for n, first in promised.later.items():
        outcome = outcomes[first]
        if n not in outcomes:
            outcomes[n] = (
                replace(outcome, replayed=True) if isinstance(outcome, Recorded) else outcome
            )
    answers: dict[str, bytes] = {}
    refused: list[str] = []
    for digest, n in promised.claimed.items():
        outcome = outcomes[n]
        if isinstance(outcome, Recorded):
            answer = {
                "id": outcome.id,
                "duplicate": outcome.duplicate,
                "revision": outcome.revision,
            }
            answers[digest] = sealed(keyring, digest, answer)
        else:
            refused.append(digest)
    await requests.keep(tx, answers)
    await requests.release(tx, refused)
