"""Who is told that a theme rises: whoever answers for it, by day, and who asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from services.notify import store
from services.notify.domain.deliveries import Channel
from services.notify.domain.themes import (
    THEME_MAIL_KINDS,
    ThemeFacts,
    by_day,
    theme_body,
    theme_document,
)
from services.notify.handlers.addressing import mailbox_of
from services.notify.handlers.posting import posts
from services.notify.store import NewDelivery
from shared.db.transaction import Reading, Transaction
from shared.events.loop import OwnerRef
from shared.faults import fault_point
from shared.i18n import Reader
from shared.identity.owners import Recipient, addresses_of

Addressed = Sequence[tuple[ThemeFacts, Sequence[OwnerRef]]]
"""Events of themes, each with those who are told of it by mail."""


async def tell_of_themes(
    tx: Transaction, events: Addressed, *, public_url: str, now: datetime
) -> int:
    """Make one delivery per event and recipient or endpoint; return how many were asked for."""
    endpoints = await store.listeners(tx, now=now)
    fresh: list[NewDelivery] = []
    for one, told in events:
        fresh += [
            NewDelivery(
                event_id=one.event_id,
                event_type=one.type,
                channel=Channel.EMAIL,
                target=target,
                purpose=THEME_MAIL_KINDS[one.type],
                payload=theme_document(one),
                correlation_id=one.correlation_id,
                recipient=mailbox_of(to),
                due_at=by_day(now, _zone(to)),
            )
            for target, to in (await _recipients(tx, told)).items()
        ]
        fresh += posts(
            endpoints,
            event_id=one.event_id,
            event_type=one.type,
            body=theme_body(one, public_url=public_url),
            correlation_id=one.correlation_id,
        )
    await store.add_deliveries(tx, fresh, now=now)
    fault_point("notify.theme_told")
    return len(fresh)


async def _recipients(view: Reading, told: Sequence[OwnerRef]) -> Mapping[str, Recipient]:
    """Return who gets a mail, once each, however many of their teams are told."""
    found: dict[str, Recipient] = {}
    for owner in told:
        for to in await addresses_of(view, owner.id, owner.kind):
            found.setdefault(to.staff_id or owner.id, to)
    return found


def _zone(to: Recipient) -> ZoneInfo:
    return Reader(language=to.language, time_zone=to.time_zone).zone
