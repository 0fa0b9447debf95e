"""Webhooks and their secrets; the secrets lie sealed under a key of the installation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, and_, delete, func, or_, select, update

from services.notify.domain.endpoints import BY_ITSELF, HELD, HELD_FOR, Health
from services.notify.tables import webhooks
from shared.db.transaction import Reading, Transaction
from shared.sealing import Keyring

_SECRETS = "webhook-secrets"

Detail = Literal["thin", "full"]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One signing secret; a former one signs until ``until``."""

    value: str = field(repr=False)
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where events are posted to."""

    id: str
    url: str
    events: tuple[str, ...]
    detail: Detail
    is_enabled: bool
    disabled_reason: str | None
    secrets: tuple[Secret, ...] = field(repr=False)
    created_at: datetime
    created_by: str
    changed_at: datetime
    disabled_at: datetime | None = None
    health: Health = field(default_factory=Health)


@dataclass(frozen=True, kw_only=True)
class Listener:
    """What a fan-out needs of an endpoint; ``withheld`` is why its deliveries are held."""

    id: str
    events: tuple[str, ...]
    detail: Detail
    withheld: str | None


async def add_webhook(tx: Transaction, webhook: Webhook, keyring: Keyring) -> None:
    """Store a new webhook."""
    await tx.execute(
        tx.insert(webhooks).values(
            id=webhook.id,
            created_at=webhook.created_at,
            created_by=webhook.created_by,
            **_webhook_values(webhook, keyring),
        )
    )


async def save_webhook(tx: Transaction, webhook: Webhook, keyring: Keyring) -> None:
    """Store a changed webhook."""
    await tx.execute(
        update(webhooks)
        .where(webhooks.c.id == webhook.id)
        .values(**_webhook_values(webhook, keyring))
    )


async def drop_webhook(tx: Transaction, webhook_id: str) -> None:
    """Forget a webhook and its secrets; its deliveries stay as history."""
    await tx.execute(delete(webhooks).where(webhooks.c.id == webhook_id))


async def webhook_of(
    view: Reading, webhook_id: str, keyring: Keyring, *, locked: bool = False
) -> Webhook | None:
    """Return one webhook; ``locked`` keeps it from changing until the transaction ends."""
    query = select(webhooks).where(webhooks.c.id == webhook_id)
    row = await view.first(query.with_for_update() if locked else query)
    return _webhook(row, keyring) if row else None


async def list_webhooks(
    view: Reading, keyring: Keyring, *, limit: int, after: str | None = None
) -> Sequence[Webhook]:
    """Return webhooks in the order of their making, behind the id ``after``."""
    query = select(webhooks).order_by(webhooks.c.id).limit(limit)
    if after is not None:
        query = query.where(webhooks.c.id > after)
    return [_webhook(row, keyring) for row in await view.all(query)]


async def webhooks_by_id(
    view: Reading, ids: Sequence[str], keyring: Keyring
) -> Mapping[str, Webhook]:
    """Return these webhooks; deleted ones are absent."""
    if not ids:
        return {}
    rows = await view.all(select(webhooks).where(webhooks.c.id.in_(ids)))
    return {row.id: _webhook(row, keyring) for row in rows}


async def listeners(view: Reading, *, now: datetime) -> Sequence[Listener]:
    """Return the endpoints that events are kept for: enabled, or switched off by themselves.

    Whoever switched one off wants nothing; one that failed for days is owed what happens
    meanwhile, for as long as that is kept.
    """
    rows = await view.all(
        select(webhooks.c.id, webhooks.c.events, webhooks.c.detail, webhooks.c.state).where(
            or_(
                webhooks.c.state == "enabled",
                and_(
                    webhooks.c.disabled_reason.in_(BY_ITSELF),
                    webhooks.c.disabled_at > now - HELD_FOR,
                ),
            )
        )
    )
    return [
        Listener(
            id=row.id,
            events=tuple(row.events),
            detail=row.detail,
            withheld=None if row.state == "enabled" else HELD,
        )
        for row in rows
    ]


async def note_health(
    tx: Transaction, *, well: Sequence[str], failed: Mapping[str, int], now: datetime
) -> None:
    """Note which endpoints took something and how often others failed; those that are on.

    One by one in the order of their ids, so that two who do so at once cannot lock each other
    out. An endpoint that did well before is not touched.
    """
    recovered = select(webhooks.c.id).where(
        webhooks.c.id.in_(well), webhooks.c.failing_since.is_not(None)
    )
    fine = {row.id for row in await tx.all(recovered)} if well else set()
    for webhook_id in sorted({*fine, *failed}):
        values: dict[str, Any] = {"failing_since": None, "failures": 0, "warned_at": None}
        if webhook_id in failed:
            values = {
                "failing_since": func.coalesce(webhooks.c.failing_since, now),
                "failures": webhooks.c.failures + failed[webhook_id],
            }
        await tx.execute(
            update(webhooks)
            .where(webhooks.c.id == webhook_id, webhooks.c.state == "enabled")
            .values(**values)
        )


async def failing_webhooks(
    view: Reading, keyring: Keyring, *, since: datetime
) -> Sequence[Webhook]:
    """Return the enabled endpoints through which nothing has got since then or earlier."""
    rows = await view.all(
        select(webhooks)
        .where(webhooks.c.state == "enabled", webhooks.c.failing_since <= since)
        .order_by(webhooks.c.id)
    )
    return [_webhook(row, keyring) for row in rows]


async def troubled_webhooks(view: Reading, keyring: Keyring) -> Sequence[Webhook]:
    """Return the endpoints that were switched off by themselves, or are about to be."""
    rows = await view.all(
        select(webhooks)
        .where(
            or_(
                and_(webhooks.c.state == "enabled", webhooks.c.warned_at.is_not(None)),
                and_(webhooks.c.state == "disabled", webhooks.c.disabled_reason.in_(BY_ITSELF)),
            )
        )
        .order_by(webhooks.c.id)
        .limit(20)
    )
    return [_webhook(row, keyring) for row in rows]


async def is_called(view: Reading, url: str) -> bool:
    """Tell whether there is an endpoint of exactly this URL."""
    query = select(webhooks.c.id).where(webhooks.c.url == url).limit(1)
    return await view.first(query) is not None


def _webhook_values(webhook: Webhook, keyring: Keyring) -> dict[str, Any]:
    secrets = [
        {"value": one.value, "until": one.until.isoformat() if one.until else None}
        for one in webhook.secrets
    ]
    return {
        "url": webhook.url,
        "events": list(webhook.events),
        "detail": webhook.detail,
        "state": "enabled" if webhook.is_enabled else "disabled",
        "disabled_reason": webhook.disabled_reason,
        "sealed_secrets": keyring.seal(
            _SECRETS, json.dumps(secrets).encode(), context=webhook.id
        ),
        "changed_at": webhook.changed_at,
        "disabled_at": webhook.disabled_at,
        "failing_since": webhook.health.failing_since,
        "failures": webhook.health.failures,
        "warned_at": webhook.health.warned_at,
    }


def _webhook(row: Row[Any], keyring: Keyring) -> Webhook:
    secrets = json.loads(keyring.open(_SECRETS, row.sealed_secrets, context=row.id))
    return Webhook(
        id=row.id,
        url=row.url,
        events=tuple(row.events),
        detail=row.detail,
        is_enabled=row.state == "enabled",
        disabled_reason=row.disabled_reason,
        secrets=tuple(
            Secret(
                value=one["value"],
                until=datetime.fromisoformat(one["until"]) if one["until"] else None,
            )
            for one in secrets
        ),
        created_at=row.created_at,
        created_by=row.created_by,
        changed_at=row.changed_at,
        disabled_at=row.disabled_at,
        health=Health(
            failing_since=row.failing_since,
            failures=row.failures,
            warned_at=row.warned_at,
        ),
    )
