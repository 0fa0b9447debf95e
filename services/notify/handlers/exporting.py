"""What notify knows about a customer: which mails went to them, and who was told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from services.notify import store
from services.notify.domain.customers import CUSTOMER_MAIL_KINDS
from services.notify.domain.deliveries import Channel, State
from services.notify.domain.urls import host_of
from services.notify.store import About, Delivery, Webhook
from shared.db.transaction import Transaction
from shared.events.ingest import CustomerExportRequested
from shared.identity.forgetting import Part, refs_of
from shared.identity.person_keys import PersonKeys
from shared.identity.person_requests import seal_part
from shared.sealing import Keyring


async def known_of_customer(
    tx: Transaction,
    event: CustomerExportRequested,
    *,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Part:
    """Return the part of notify; what was said to whom follows from the tasks, in loop's part.

    Of staff it says how many mails they got, and not who: that is not the customer's data.
    """
    about = About(refs=await refs_of(tx, event.person_ref), responses=None)
    found = await store.deliveries_about(tx, about)
    calls = [one for one in found if one.channel is Channel.WEBHOOK]
    endpoints = await store.webhooks_by_id(tx, sorted({one.target for one in calls}), keyring)
    mails = [one for one in found if one.channel is Channel.EMAIL]
    to_staff = [one for one in mails if one.purpose not in CUSTOMER_MAIL_KINDS]
    sealed = await seal_part(
        tx,
        person_keys,
        event.person_ref,
        request_id=event.request_id,
        service="notify",
        document={
            "mails_to_the_customer": [
                _mail(one) for one in mails if one.purpose in CUSTOMER_MAIL_KINDS
            ],
            "mails_to_staff_about_the_customer": dict(
                Counter(one.purpose for one in to_staff if one.state is State.DELIVERED)
            ),
            "calls_to_other_systems": [_call(one, endpoints) for one in calls],
        },
    )
    return Part(event=event, counts={"deliveries": len(found)}, sealed=sealed)


def _mail(one: Delivery) -> dict[str, Any]:
    return {
        "kind": one.purpose,
        "about_task": one.task_id,
        "state": one.state.value,
        "created_at": one.created_at.isoformat(),
        "settled_at": one.settled_at.isoformat() if one.settled_at else None,
    }


def _call(one: Delivery, endpoints: Mapping[str, Webhook]) -> dict[str, Any]:
    webhook = endpoints.get(one.target)
    return {
        "system": host_of(webhook.url) if webhook else one.target,
        "event": one.event_type,
        "about_task": one.task_id,
        "with_name_and_words": one.sealed_person is not None,
        "state": one.state.value,
        "created_at": one.created_at.isoformat(),
    }
