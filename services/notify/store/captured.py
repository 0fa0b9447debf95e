"""Mail that was kept here and not sent; its content lies sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from services.notify.tables import captured_mails
from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class CapturedMail:
    """A mail that was kept here and not sent."""

    id: str
    delivery_id: str
    recipient: str
    """Empty for a customer: that address stands in the sealed message alone."""
    subject: str
    at: datetime
    person_ref: str | None


async def capture(
    tx: Transaction,
    mails: Sequence[tuple[CapturedMail, bytes]],
) -> None:
    """Keep mails, each with its sealed bytes; a second copy of the same delivery is ignored."""
    await tx.execute(
        tx.insert(captured_mails).on_conflict_do_nothing(index_elements=["delivery_id"]),
        [
            {
                "id": mail.id,
                "delivery_id": mail.delivery_id,
                "recipient_address": mail.recipient,
                "subject": mail.subject,
                "at": mail.at,
                "person_ref": mail.person_ref,
                "sealed_message": sealed,
            }
            for mail, sealed in mails
        ],
    )


async def list_captured(
    view: Reading, *, limit: int, before: str | None = None
) -> Sequence[CapturedMail]:
    """Return captured mails without their content, newest first."""
    query = select(captured_mails).order_by(captured_mails.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(captured_mails.c.id < before)
    return [_captured(row) for row in await view.all(query)]


async def captured_mail(view: Reading, mail_id: str) -> tuple[CapturedMail, bytes] | None:
    """Return one captured mail and its sealed bytes."""
    row = await view.first(select(captured_mails).where(captured_mails.c.id == mail_id))
    return (_captured(row), row.sealed_message) if row else None


def _captured(row: Row[Any]) -> CapturedMail:
    return CapturedMail(
        id=row.id,
        delivery_id=row.delivery_id,
        recipient=row.recipient_address,
        subject=row.subject,
        at=row.at,
        person_ref=row.person_ref,
    )
