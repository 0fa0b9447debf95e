"""What a claimed delivery needs beside its row before it can be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.notify import store
from services.notify.domain.accounts import ACCOUNT_MAIL_KINDS, LINK_OVER
from services.notify.domain.alerts import SUMMARY_KINDS, facts_from, owner_of
from services.notify.domain.customers import CUSTOMER_MAIL_KINDS
from services.notify.domain.deliveries import TASK_DONE, Channel
from services.notify.domain.endpoints import HELD
from services.notify.domain.gathering import Summary
from services.notify.handlers.accounts import is_link_over
from services.notify.handlers.customers import contacts_of, why_not
from services.notify.handlers.undelivered import pass_over
from services.notify.store import Delivery, Webhook
from shared.consent import Refusal
from shared.db.transaction import Reading, Transaction
from shared.identity.erasure import FORGOTTEN
from shared.identity.owners import Owner, owners
from shared.identity.person_keys import PersonKeys
from shared.identity.wishes import refusals_of
from shared.logs import get_logger
from shared.sealing import CannotOpen, Keyring, open_document

_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A claimed delivery with what is needed to send it."""

    delivery: Delivery
    webhook: Webhook | None = None
    person_key: bytes | None = field(default=None, repr=False)
    summary: Summary | None = None
    in_place_of: str | None = None
    """The name of whom a mail was meant for that goes to somebody else; it may be empty."""
    refused: Refusal | None = None
    """What the customer asked not to be done, with whichever answer."""
    contact: Owner | None = None
    """Whom a customer may turn to, where the mail goes to a customer."""

    @property
    def is_erased(self) -> bool:
        """Tell whether there was a customer in it of whom nothing can be read any more."""
        sealed = self.delivery.sealed_person
        return sealed is not None and (sealed == FORGOTTEN or self.person_key is None)


def person_of(ready: Ready) -> Mapping[str, Any] | None:
    """Return the opened personal members; None when there are none, or none any more."""
    one = ready.delivery
    if ready.is_erased or ready.person_key is None:
        return None
    if not one.sealed_person or not one.response_id:
        return None
    try:
        return open_document(ready.person_key, one.sealed_person, context=one.response_id)
    except CannotOpen:
        _log.warning("delivery.cannot_open", delivery_id=one.id)
        return None


async def made_ready(
    tx: Transaction,
    claimed: Sequence[Delivery],
    *,
    keyring: Keyring,
    person_keys: PersonKeys,
    now: datetime,
) -> Sequence[Ready]:
    """Add what sending needs; hold what must not be sent.

    That is what goes to an endpoint that is off, a summary of tasks that are all done, a
    question to a customer whose task went on, and a link that leads nowhere any more.
    What would go to a dead mailbox is given up, and somebody else is told.
    """
    endpoints = await store.webhooks_by_id(
        tx,
        sorted({one.target for one in claimed if one.channel is Channel.WEBHOOK}),
        keyring,
    )
    refs = sorted({one.person_ref for one in claimed if one.person_ref and one.sealed_person})
    keys = await person_keys.for_reading(tx, refs)
    wishes = await refusals_of(tx, refs)
    gathered = await store.lines_of(
        tx, [one.id for one in claimed if one.purpose in SUMMARY_KINDS.values()]
    )
    dead = await store.suppressed_among(
        tx, [one.recipient.email for one in claimed if one.recipient is not None]
    )
    meant_for = await _meant_for(tx, claimed)
    contacts = await contacts_of(tx, claimed)
    ready: list[Ready] = []
    for one in claimed:
        if one.recipient is not None and one.recipient.email.lower() in dead:
            await pass_over(tx, one, now=now)
            continue
        found = Ready(
            delivery=one,
            person_key=keys.get(one.person_ref) if one.person_ref else None,
            refused=wishes.get(one.person_ref) if one.person_ref else None,
        )
        if one.purpose in CUSTOMER_MAIL_KINDS:
            reason = await why_not(tx, one, person_of(found), refused=found.refused)
            if reason is not None:
                await store.hold_claimed(tx, one, reason=reason, now=now)
                continue
        if one.purpose in ACCOUNT_MAIL_KINDS and await is_link_over(tx, one, now=now):
            await store.hold_claimed(tx, one, reason=LINK_OVER, now=now)
            continue
        webhook = endpoints.get(one.target)
        if one.channel is Channel.WEBHOOK and (webhook is None or not webhook.is_enabled):
            reason = HELD if webhook else "endpoint_deleted"
            await store.hold_claimed(tx, one, reason=reason, now=now)
            continue
        lines = gathered.get(one.id)
        if lines is not None and not lines:
            await store.hold_claimed(tx, one, reason=TASK_DONE, now=now)
            continue
        ready.append(
            replace(
                found,
                webhook=webhook,
                summary=Summary(tasks=tuple(map(facts_from, lines))) if lines else None,
                in_place_of=meant_for.get(one.id),
                contact=contacts.get(one.id),
            )
        )
    return ready


async def _meant_for(view: Reading, claimed: Sequence[Delivery]) -> Mapping[str, str]:
    """Return in whose place mails are: the owner's, else the former recipient's."""
    ids: dict[str, str] = {}
    for one in claimed:
        if one.instead_of is None:
            continue
        owner = owner_of(one.payload)
        former = None if owner else await store.delivery_of(view, one.instead_of)
        ids[one.id] = owner[0] if owner else former.target if former else ""
    known = await owners(view, ids.values())
    return {key: known[who].name if who in known else "" for key, who in ids.items()}
