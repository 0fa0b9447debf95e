"""Alerts that nobody could be told are told once there is somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.notify import store
from services.notify.domain.alerts import owner_kind_of
from services.notify.store import Delivery, Mailbox, NewDelivery
from shared.db.transaction import Reading, Transaction
from shared.identity.owners import OwnerKind, Recipient, addresses_of

_AT_ONCE = 200


async def tell_unaddressed(tx: Transaction, *, now: datetime) -> int:
    """Make alerts without an address due to whoever has one by now; return how many.

    Each is told once, to everybody who is to be told. What is about a task that was done
    meanwhile stays held.
    """
    await store.drop_unaddressed_of_done(tx, now=now)
    recipients = await _recipients(tx, await store.unaddressed_owners(tx))
    waiting = await store.unaddressed_of(tx, sorted(recipients), limit=_AT_ONCE)
    others = [
        (one, _also_to(one, recipient))
        for one in waiting
        for recipient in recipients[one.target][1:]
    ]
    await store.address(
        tx,
        {
            one.id: (first.staff_id or one.target, mailbox_of(first))
            for one in waiting
            for first in recipients[one.target][:1]
        },
        now=now,
    )
    added = await store.add_deliveries(tx, [other for _, other in others], now=now)
    for delivery_id, (one, other) in zip(added, others, strict=True):
        if one.import_id is not None:
            await store.copy_lines(tx, of=one.id, to=delivery_id, target=other.target)
    return len(waiting)


async def _recipients(
    view: Reading, oldest: Sequence[Delivery]
) -> Mapping[str, Sequence[Recipient]]:
    """Return who is to be told, by owner, for those owners that have somebody."""
    found: dict[str, Sequence[Recipient]] = {}
    for one in oldest:
        kind: OwnerKind = "person" if owner_kind_of(one.payload) == "person" else "team"
        if recipients := await addresses_of(view, one.target, kind):
            found[one.target] = recipients
    return found


async def mailbox_now(view: Reading, target: str) -> Mailbox | None:
    """Return where somebody is written to by now; None for who is nobody any more."""
    kinds: tuple[OwnerKind, ...] = ("person", "team")
    for kind in kinds:
        for found in await addresses_of(view, target, kind):
            if found.staff_id == target or (kind == "team" and found.staff_id is None):
                return mailbox_of(found)
    return None


def mailbox_of(recipient: Recipient) -> Mailbox:
    """Return where a recipient is written to."""
    return Mailbox(
        email=recipient.email,
        language=recipient.language,
        time_zone=recipient.time_zone,
    )


def _also_to(one: Delivery, recipient: Recipient) -> NewDelivery:
    return NewDelivery(
        event_id=one.event_id,
        event_type=one.event_type,
        channel=one.channel,
        target=recipient.staff_id or one.target,
        purpose=one.purpose,
        payload=one.payload,
        task_id=one.task_id,
        response_id=one.response_id,
        correlation_id=one.correlation_id,
        person_ref=one.person_ref,
        sealed_person=one.sealed_person,
        recipient=mailbox_of(recipient),
        import_id=one.import_id,
    )
