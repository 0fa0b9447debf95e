"""A request that says it is the same one again acts once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.loop.tasks import store
from shared.db.transaction import Transaction
from shared.errors import key_reused
from shared.sealing import Keyring

KEPT = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What a caller sent, where to, and the key under which it may come again."""

    caller_id: str
    route: str
    key: str = field(repr=False)
    body: object = field(repr=False)


async def is_first(tx: Transaction, request: Sent, *, keyring: Keyring, now: datetime) -> bool:
    """Tell whether this request comes for the first time, and remember it if it stands.

    The same key with another meaning raises ``Invalid``. What is remembered are digests under
    a key of the installation: some senders put an address into the key.
    """
    meaning = json.dumps(request.body, sort_keys=True, separators=(",", ":"))
    digest = keyring.mac("idempotency-keys", request.caller_id, request.route, request.key)
    fingerprint = keyring.mac("idempotency-fingerprints", meaning)
    known = await store.remember_request(
        tx, digest, fingerprint=fingerprint, now=now, forget_before=now - KEPT
    )
    if known not in {None, fingerprint}:
        raise key_reused()
    return known is None
