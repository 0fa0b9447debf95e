"""A request that says it is the same one again acts once and is answered as before."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.notify import store
from shared.db.transaction import Transaction
from shared.errors import key_reused
from shared.sealing import Keyring

KEPT = timedelta(days=7)
_ANSWERS = "idempotent-answers"

Act = Callable[[Transaction], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What a caller sent, where to, and the key under which it may come again."""

    caller_id: str
    route: str
    key: str = field(repr=False)
    body: object = field(repr=False)


async def once(
    tx: Transaction, sent: Sent | None, act: Act, *, keyring: Keyring, now: datetime
) -> tuple[dict[str, Any], bool]:
    """Return the answer, and whether it is one that was given before.

    The same key with another meaning raises ``Invalid``. A refused act is not remembered.
    """
    if sent is None:
        return await act(tx), False
    meaning = json.dumps(sent.body, sort_keys=True, separators=(",", ":"))
    digest = keyring.mac("idempotency-keys", sent.caller_id, sent.route, sent.key)
    fingerprint = keyring.mac("idempotency-fingerprints", meaning)
    known = await store.first_request(
        tx, digest, fingerprint=fingerprint, now=now, forget_before=now - KEPT
    )
    if known is None:
        answer = await act(tx)
        sealed = keyring.seal(_ANSWERS, json.dumps(answer).encode(), context=digest)
        await store.keep_answer(tx, digest, sealed=sealed)
        return answer, False
    if known.fingerprint != fingerprint:
        raise key_reused()
    before: dict[str, Any] = json.loads(
        keyring.open(_ANSWERS, known.sealed_answer, context=digest)
    )
    return before, True
