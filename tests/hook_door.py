"""Knocking at the hooks of ingest: settings of sources, signatures, calls."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import httpx
from sqlalchemy import func, select

from services.ingest import store
from services.ingest.domain.sources import Source
from services.ingest.handlers import external_ids_of
from services.ingest.handlers.sources import source_named
from services.ingest.store import Secret
from services.ingest.tables import payloads, responses
from shared.ids import new_id
from tests.ingest_door import Door

HOOKS = "/v1/hooks"
SECRET = "a-secret-of-the-sender"

MAPPING: dict[str, Any] = {
    "version": 1,
    "ignore": [
        {"when": "kind == 'ping'", "reason": "ping"},
        {"when": "kind == 'created' && !result", "reason": "fetch_required"},
    ],
    "answers": "result",
    "fields": {
        "external_id": "ref",
        "score": {"path": "stars", "scale": {"from": [1, 5], "to": [0, 10]}, "empty": [0]},
        "comment": "words",
        "answered_at": "at",
        "customer.id": "who",
        "customer.email": "mail",
    },
}
SIGNATURE: dict[str, Any] = {
    "scheme": "hmac",
    "header": "X-Signature",
    "algorithm": "sha256",
    "encoding": "hex",
    "prefix": "sha256=",
    "signed": "{timestamp}.{body}",
    "timestamp": {"header": "X-Timestamp", "unit": "s", "tolerance": 300},
}


async def configure(
    door: Door,
    name: str = "survey",
    *,
    secrets: Sequence[str] = (),
    **settings: Any,
) -> Source:
    """Give a source settings, and secrets that its signatures are checked with."""
    now = door.clock.now()
    known = await source_named(door.ingest, name)
    source = Source(
        name=name,
        **settings,
        version=known.version + 1,
        changed_at=now,
        changed_by="tests",
    )
    async with door.database.transaction() as tx:
        await store.save_source(tx, source)
        await store.save_secrets(
            tx,
            name,
            [Secret(id=new_id("sec"), value=value, made_at=now) for value in secrets],
            keyring=door.ingest.keyring,
        )
    return source


def result(ref: str = "R-1", **members: Any) -> dict[str, Any]:
    """Return a call in the words of ``MAPPING``."""
    return {"kind": "answer", "result": {"ref": ref, "stars": 1, "words": "Slow.", **members}}


def signed(door: Door, body: bytes, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    """Return the headers of a call signed as ``SIGNATURE`` has it."""
    stamp = str(int(door.clock.now().timestamp()) - age)
    digest = hmac.digest(secret.encode(), f"{stamp}.".encode() + body, "sha256")
    return {"X-Signature": f"sha256={digest.hex()}", "X-Timestamp": stamp}


def standard(door: Door, body: bytes, *, secret: str, age: int = 0) -> dict[str, str]:
    """Return the headers of a call signed as Standard Webhooks has it."""
    stamp = str(int(door.clock.now().timestamp()) - age)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"msg_1.{stamp}.".encode() + body, "sha256")
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


async def send(
    door: Door,
    payload: Any,
    *,
    to: str = "survey",
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> httpx.Response:
    """Post to a hook; without headers with a key of the source."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if headers is None:
        headers = await door.key(to.partition("/")[0])
    return await door.client.post(
        f"{HOOKS}/{to}", content=body, headers={"content-type": content_type, **headers}
    )


async def counted(door: Door, source: str = "survey") -> dict[tuple[str, str], int]:
    """Return what was counted for a source, by outcome and reason."""
    async with door.database.reading() as view:
        found = await store.tallies_of(view, source, date(2000, 1, 1))
    return {(tally.outcome, tally.reason): tally.n for _, tally in found}


async def kept(door: Door, source: str = "survey") -> list[store.Kept]:
    """Return the samples of a source, the latest first."""
    async with door.database.reading() as view:
        return await store.payloads_of(view, source, limit=50)


async def recorded(door: Door, source: str = "survey") -> list[dict[str, Any]]:
    """Return what lies recorded of a source, in the order of arrival."""
    async with door.database.reading() as view:
        rows = await view.all(
            select(responses).where(responses.c.source == source).order_by(responses.c.id)
        )
        ids = [row.id for row in rows]
        stored = [await store.find_response(view, one) for one in ids]
        named = await external_ids_of(
            view, door.ingest.person_keys, [one for one in stored if one]
        )
    return [{**row._asdict(), "external_id": named[row.id]} for row in rows]


async def everything(door: Door) -> int:
    """Return how many responses and samples there are."""
    async with door.database.reading() as view:
        number = 0
        for table in (responses, payloads):
            number += await view.scalar(select(func.count()).select_from(table))
    return number
