"""A customer is forgotten: what notify keeps of them goes, and receivers are told so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from services.notify import store
from services.notify.domain.alerts import is_wanted
from services.notify.domain.deliveries import Channel
from services.notify.domain.erasures import CUSTOMER_ERASED_TYPE, ErasureFacts, erasure_body
from services.notify.store import About, NewDelivery
from shared.db.transaction import Transaction
from shared.events.envelope import Envelope
from shared.events.ingest import CustomerErased
from shared.identity.forgetting import forget_parked, refs_of
from shared.sealing import Keyring


async def forget_customer(
    tx: Transaction,
    event: CustomerErased,
    envelope: Envelope,
    *,
    keyring: Keyring,
    now: datetime,
) -> Mapping[str, int]:
    """Take a customer, or what they said in some responses, out of everything here.

    Return how much there was, for the certificate. A repetition finds nothing left.
    """
    refs = await refs_of(tx, event.person_ref)
    about = About(refs=refs, responses=None if event.whole else event.response_ids)
    told = await _tell_receivers(tx, event, envelope, about, now=now)
    return {
        "captured_mails": await store.forget_captured(tx, about),
        "replies": await store.forget_replies(tx, about),
        "deliveries": await store.forget_in_deliveries(tx, about, now=now),
        "dead_letters": await forget_parked(
            tx,
            refs,
            only=None if event.whole else frozenset(event.response_ids),
            keyring=keyring,
            now=now,
        ),
        "receivers_told": told,
    }


async def _tell_receivers(
    tx: Transaction,
    event: CustomerErased,
    envelope: Envelope,
    about: About,
    *,
    now: datetime,
) -> int:
    """Tell whoever asked for it, and whoever was sent the customer's words; return how many.

    Who got the words must hear that they are to go, whichever events they asked for.
    """
    had_words = frozenset(await store.told_the_words(tx, about))
    endpoints = [
        each
        for each in await store.listeners(tx, now=now)
        if each.id in had_words or is_wanted(CUSTOMER_ERASED_TYPE, each.events)
    ]
    if not endpoints:
        return 0
    facts = ErasureFacts(
        event_id=envelope.id,
        happened_at=envelope.time,
        erased_at=event.erased_at,
        customer_id=event.person_ref,
        reason=event.reason,
        whole=event.whole,
        response_ids=event.response_ids,
        task_ids=await store.tasks_told_of(tx, about),
        correlation_id=envelope.correlationid,
    )
    await store.add_deliveries(
        tx,
        [
            NewDelivery(
                event_id=facts.event_id,
                event_type=CUSTOMER_ERASED_TYPE,
                channel=Channel.WEBHOOK,
                target=each.id,
                purpose="event",
                payload=erasure_body(facts),
                correlation_id=facts.correlation_id,
                person_ref=event.person_ref,
                withheld=each.withheld,
            )
            for each in endpoints
        ],
        now=now,
    )
    return len(endpoints)
