"""A new password by mail: asked for by anybody, answered alike, mailed to whom it belongs.

Nothing here holds the link. It is signed when the mail is sent, it is good for an hour and for
one time, and it brings a new password only: whoever has a second factor is still asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select, update

from shared import links
from shared.errors import Gone, TooMany
from shared.identity import audit, throttle
from shared.identity.audit import SYSTEM
from shared.identity.people import password_hash_of, plain_email, set_password, staff_member
from shared.identity.principal import Principal
from shared.identity.tables import password_resets, staff
from shared.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.db.transaction import Reading, Transaction
    from shared.identity.people import Staff
    from shared.sealing import Keyring

LASTS: Final = timedelta(hours=1)
PER_ACCOUNT: Final = 3
"""Mails a quarter of an hour: nobody's mailbox is filled by somebody else."""
PER_ADDRESS: Final = 20

_PURPOSE: Final = "password-reset"
_KEPT: Final = timedelta(days=1)
_USED: Final = "This link was used already, or a newer password has been set since."


@dataclass(frozen=True, kw_only=True)
class PasswordReset:
    """One wish for a new password."""

    id: str
    staff_id: str
    expires_at: datetime


async def ask_for_reset(
    tx: Transaction, keyring: Keyring, *, email: str, address: str, now: datetime
) -> None:
    """Write down that somebody wants a new password; whether it leads to a mail is not said.

    It does for an active account with a password: whoever signs in elsewhere only has none
    that could be replaced. Raises ``TooMany`` for an address that asks too often.
    """
    origin = keyring.mac("password-reset", "address", address)
    account = keyring.mac("password-reset", "account", plain_email(email))
    await throttle.write_down(tx, {origin: PER_ADDRESS}, now=now)
    found = await password_hash_of(tx, email)
    try:
        await throttle.write_down(tx, {account: PER_ACCOUNT}, now=now)
    except TooMany:
        return  # said to nobody: the answer is the same for every account
    if found is None or found[1] is None or not found[0].active:
        return
    await tx.execute(delete(password_resets).where(password_resets.c.asked_at <= now - _KEPT))
    fresh = new_id("pwr")
    await tx.execute(
        insert(password_resets).values(
            id=fresh, staff_id=found[0].id, asked_at=now, expires_at=now + LASTS
        )
    )
    await audit.record(tx, SYSTEM, "staff.password-reset-asked", found[0].id, now=now)


async def resets_to_tell(view: Reading, *, now: datetime) -> Sequence[PasswordReset]:
    """Return the wishes that no mail was made for yet."""
    rows = await view.all(
        select(password_resets)
        .join(staff, staff.c.id == password_resets.c.staff_id)
        .where(
            password_resets.c.told_at.is_(None),
            password_resets.c.used_at.is_(None),
            password_resets.c.expires_at > now,
            staff.c.disabled_at.is_(None),
        )
        .order_by(password_resets.c.id)
        .limit(100)
    )
    return [
        PasswordReset(id=row.id, staff_id=row.staff_id, expires_at=row.expires_at)
        for row in rows
    ]


async def told_of(tx: Transaction, reset_id: str, *, now: datetime) -> bool:
    """Note that a mail was made; False where another process was first."""
    noted = await tx.execute(
        update(password_resets)
        .where(password_resets.c.id == reset_id, password_resets.c.told_at.is_(None))
        .values(told_at=now)
    )
    return noted.rowcount == 1


async def is_open(view: Reading, reset_id: str, *, now: datetime) -> bool:
    """Tell whether the link of this wish would still bring a new password."""
    return await _whose(view, reset_id, now=now) is not None


def token_of(keyring: Keyring, reset_id: str, expires_at: datetime) -> str:
    """Return what stands in the link: for the mail, and for nothing else."""
    return links.sign(keyring, _PURPOSE, reset_id, expires_at)


async def person_of(view: Reading, keyring: Keyring, token: str, *, now: datetime) -> Staff:
    """Return whose password a link would replace.

    Raises ``NotFound`` for a token that is none, ``Gone`` for one whose time is over.
    """
    person = await _whose(view, links.read(keyring, _PURPOSE, token, now), now=now)
    if person is None:
        raise Gone(_USED)
    return person


async def use_reset(
    tx: Transaction, keyring: Keyring, token: str, password_hash: str, *, now: datetime
) -> None:
    """Replace the password by the link of a mail, once; every session and every link ends."""
    reset_id = links.read(keyring, _PURPOSE, token, now)
    used = await tx.execute(
        update(password_resets)
        .where(password_resets.c.id == reset_id, password_resets.c.used_at.is_(None))
        .values(used_at=now)
    )
    row = await tx.first(select(password_resets).where(password_resets.c.id == reset_id))
    person = await staff_member(tx, row.staff_id) if row is not None else None
    if used.rowcount != 1 or person is None or not person.active:
        raise Gone(_USED)
    actor = Principal(kind="staff", id=person.id, name=person.name, scopes=frozenset())
    await set_password(tx, person.id, password_hash, now=now, by=actor)


async def _whose(view: Reading, reset_id: str, *, now: datetime) -> Staff | None:
    row = await view.first(
        select(password_resets).where(
            password_resets.c.id == reset_id,
            password_resets.c.used_at.is_(None),
            password_resets.c.expires_at > now,
        )
    )
    person = await staff_member(view, row.staff_id) if row is not None else None
    return person if person is not None and person.active else None
