"""Counting tries of people where a restart must not forget them: in the database.

A try is written down before it is looked at, so that tries that run side by side count too.
What is counted is a keyed digest: nobody learns from it who tried what.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, insert, select

from shared.errors import TooMany
from shared.identity.tables import sign_in_failures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.db.transaction import Transaction

WINDOW: Final = timedelta(minutes=15)


async def write_down(tx: Transaction, most: Mapping[str, int], *, now: datetime) -> None:
    """Count one try per subject; raise ``TooMany``, and count nothing, above its limit."""
    for subject, limit in most.items():
        if (wait := await seconds_to_wait(tx, subject, limit, now=now)) > 0:
            raise TooMany(
                "Too many sign-ins have failed. Wait a little, or ask an administrator for a"
                " new password.",
                retry_after=wait,
            )
    await tx.execute(
        insert(sign_in_failures), [{"subject": subject, "at": now} for subject in most]
    )


async def seconds_to_wait(tx: Transaction, subject: str, limit: int, *, now: datetime) -> int:
    """Return how long until one more try of a subject is within the limit; 0 if it is now."""
    since = now - WINDOW
    await tx.execute(delete(sign_in_failures).where(sign_in_failures.c.at <= since))
    row = await tx.first(
        select(func.count().label("n"), func.min(sign_in_failures.c.at).label("first")).where(
            sign_in_failures.c.subject == subject
        )
    )
    if row is None or row.n < limit:
        return 0
    return max(1, int((row.first + WINDOW - now).total_seconds()) + 1)


async def forget(tx: Transaction, subject: str) -> None:
    """Forget every try of a subject: one was good."""
    await tx.execute(delete(sign_in_failures).where(sign_in_failures.c.subject == subject))


async def take_back_one(tx: Transaction, subject: str) -> None:
    """Take back the try that turned out good."""
    newest = select(func.max(sign_in_failures.c.id)).where(
        sign_in_failures.c.subject == subject
    )
    await tx.execute(
        delete(sign_in_failures).where(sign_in_failures.c.id == newest.scalar_subquery())
    )
