"""Who is told that a source fell silent: whoever looks after what posts to us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.notify import store
from services.notify.domain.deliveries import Channel
from services.notify.domain.sources import (
    SOURCE_MAIL_KINDS,
    SourceFacts,
    source_body,
    source_document,
)
from services.notify.handlers.addressing import mailbox_of
from services.notify.handlers.posting import posts
from services.notify.store import NewDelivery
from shared.db.transaction import Transaction
from shared.faults import fault_point
from shared.identity.owners import recipients_with
from shared.identity.principal import Role
from shared.logs import get_logger

_log = get_logger(__name__)
_TOLD = (Role.ADMIN, Role.DEVELOPER)


async def tell_of_sources(
    tx: Transaction, events: Sequence[SourceFacts], *, public_url: str, now: datetime
) -> int:
    """Make one delivery per event and keeper or endpoint; return how many were asked for."""
    endpoints = await store.listeners(tx, now=now)
    keepers = await recipients_with(tx, _TOLD)
    fresh: list[NewDelivery] = []
    for one in events:
        kind = SOURCE_MAIL_KINDS.get(one.type)
        if kind is not None and not keepers:
            _log.warning("sources.nobody_to_tell", event_id=one.event_id)
        fresh += [
            NewDelivery(
                event_id=one.event_id,
                event_type=one.type,
                channel=Channel.EMAIL,
                target=keeper.staff_id or keeper.email,
                purpose=kind,
                payload=source_document(one),
                correlation_id=one.correlation_id,
                recipient=mailbox_of(keeper),
            )
            for keeper in (keepers if kind is not None else ())
            if kind is not None
        ]
        fresh += posts(
            endpoints,
            event_id=one.event_id,
            event_type=one.type,
            body=source_body(one, public_url=public_url),
            correlation_id=one.correlation_id,
        )
    await store.add_deliveries(tx, fresh, now=now)
    fault_point("notify.source_told")
    return len(fresh)
