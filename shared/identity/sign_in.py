"""Signing staff in: the throttle, the check, the new session, and the very first account.

Each try is written down before the password is looked at, so that tries that run side by side
count too; a good one clears its account. Wrong address, wrong password and disabled account
give one answer in one time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from shared.errors import Conflict, TooMany, Unauthenticated
from shared.identity import audit, sessions
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.passwords import check_password, hash_password, verify_password
from shared.identity.people import (
    Staff,
    checked_email,
    create_staff,
    first_administrator,
    password_hash_of,
    plain_email,
)
from shared.identity.principal import Principal, Role
from shared.identity.tables import sign_in_failures, teams

if TYPE_CHECKING:
    from shared.db.transaction import Database, Transaction
    from shared.sealing import Keyring

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = 10
PER_ADDRESS = 50
"""An office may sit behind one address, and one person mistypes more than once."""

_SAME_ANSWER = "The address and the password do not fit together."


async def sign_in(
    database: Database,
    keyring: Keyring,
    *,
    email: str,
    password: str,
    address: str,
    now: datetime,
) -> str:
    """Return the token of a new session.

    Raises ``Unauthenticated`` when anything does not fit and ``TooMany`` when this account or
    address has failed too often of late.
    """
    account = keyring.mac("sign-in", "account", plain_email(email))
    origin = keyring.mac("sign-in", "address", address)
    async with database.transaction() as tx:
        await _write_down(tx, {account: PER_ACCOUNT, origin: PER_ADDRESS}, now=now)
    async with database.reading() as view:
        found = await password_hash_of(view, email)
    person, password_hash = found if found is not None else (None, None)
    fits = await verify_password(password, password_hash)
    if person is None or not fits or not person.active:
        raise Unauthenticated(_SAME_ANSWER, slug="sign-in-failed")
    async with database.transaction() as tx:
        await tx.execute(delete(sign_in_failures).where(sign_in_failures.c.subject == account))
        await _forgive_one(tx, origin)
        token = await sessions.start(tx, person.id, now=now)
        await audit.record(tx, _as_principal(person), "session.started", person.id, now=now)
    return token


async def create_first_administrator(
    tx: Transaction, *, email: str, name: str, password_hash: str, now: datetime
) -> Staff:
    """Make the administrator of a new installation; raise ``Conflict`` when there is one.

    Their address is also that of the default team until it is given one of its own.
    """
    if await first_administrator(tx) is not None:
        raise Conflict(
            "There is an administrator already. Sign in, or ask them for an account."
        )
    person = await create_staff(
        tx, email=email, name=name, role=Role.ADMIN, now=now, password_hash=password_hash
    )
    await give_default_team_an_address(tx, person.email)
    return person


async def hash_for_first_administrator(email: str, password: str) -> str:
    """Check what was typed, then hash; raise ``Invalid`` before anything is written."""
    checked_email(email)
    check_password(password)
    return await hash_password(password)


async def give_default_team_an_address(tx: Transaction, email: str) -> None:
    """Send the default team's mail to ``email`` unless the team has an address."""
    await tx.execute(
        update(teams)
        .where(teams.c.id == DEFAULT_TEAM, teams.c.email.is_(None))
        .values(email=plain_email(email))
    )


async def _write_down(tx: Transaction, most: dict[str, int], *, now: datetime) -> None:
    """Count one try per subject; raise ``TooMany``, and count nothing, above its limit."""
    since = now - WINDOW
    await tx.execute(delete(sign_in_failures).where(sign_in_failures.c.at <= since))
    for subject, limit in most.items():
        row = await tx.first(
            select(
                func.count().label("n"), func.min(sign_in_failures.c.at).label("first")
            ).where(sign_in_failures.c.subject == subject)
        )
        if row is not None and row.n >= limit:
            left = row.first + WINDOW - now
            raise TooMany(
                "Too many sign-ins have failed. Wait a little, or ask an administrator for a"
                " new password.",
                retry_after=max(1, int(left.total_seconds()) + 1),
            )
    await tx.execute(
        insert(sign_in_failures), [{"subject": subject, "at": now} for subject in most]
    )


async def _forgive_one(tx: Transaction, subject: str) -> None:
    """Take back the try that turned out good."""
    newest = select(func.max(sign_in_failures.c.id)).where(
        sign_in_failures.c.subject == subject
    )
    await tx.execute(
        delete(sign_in_failures).where(sign_in_failures.c.id == newest.scalar_subquery())
    )


def _as_principal(person: Staff) -> Principal:
    return Principal(kind="staff", id=person.id, name=person.name, scopes=frozenset())
