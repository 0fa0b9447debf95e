"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and codes for its loss.

What the app knows lies sealed under a key of the installation. A recovery code has so many
random bits that its digest tells nobody the code; it is good once. No code counts twice.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

import pyotp
from sqlalchemy import delete, func, insert, select, update

from shared.errors import Conflict, Unauthenticated
from shared.identity import audit
from shared.identity.facts import fact, keep
from shared.identity.principal import Role
from shared.identity.tables import SECOND_FACTOR_ROLES, recovery_codes, second_factors

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction
    from shared.identity.principal import Principal
    from shared.sealing import Keyring

PURPOSE: Final = "second-factors"
CODES: Final = 10
"""How many recovery codes somebody gets at a time."""

_STEP: Final = 30
_LATE_OR_EARLY: Final = (-1, 0, 1)
"""Clocks differ, and typing takes a while: RFC 6238 advises one step."""
_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_GROUPS: Final = 5
"""Five groups of five characters: 125 bits, for which a plain digest is enough."""
_APP_CODE: Final = re.compile(r"[0-9]{6}")
_WRONG: Final = "The code does not fit."


Kind = Literal["app", "recovery_code"]
"""What somebody showed beside the password."""


@dataclass(frozen=True, kw_only=True)
class SecondFactor:
    """How somebody's second factor stands."""

    confirmed_at: datetime | None
    """None while it is being set up: it is not asked for yet."""
    codes_left: int


async def second_factor(view: Reading, staff_id: str) -> SecondFactor | None:
    """Return how somebody's second factor stands, if there is one."""
    row = await view.first(
        select(second_factors.c.confirmed_at).where(second_factors.c.staff_id == staff_id)
    )
    if row is None:
        return None
    left = await view.scalar(
        select(func.count())
        .select_from(recovery_codes)
        .where(recovery_codes.c.staff_id == staff_id)
    )
    return SecondFactor(confirmed_at=row.confirmed_at, codes_left=int(left))


async def is_asked_for(view: Reading, staff_id: str) -> bool:
    """Tell whether this person signs in with a code beside the password."""
    found = await second_factor(view, staff_id)
    return found is not None and found.confirmed_at is not None


# ------------------------------------------------------------------ setting up


async def begin(tx: Transaction, keyring: Keyring, staff_id: str, *, now: datetime) -> None:
    """Make a new secret for an app; raise ``Conflict`` where a second factor is in use."""
    if await is_asked_for(tx, staff_id):
        raise Conflict("There is a second factor already. Switch it off first.")
    await tx.execute(delete(second_factors).where(second_factors.c.staff_id == staff_id))
    sealed = keyring.seal(PURPOSE, pyotp.random_base32().encode(), context=staff_id)
    await tx.execute(
        insert(second_factors).values(staff_id=staff_id, sealed_secret=sealed, created_at=now)
    )


async def being_set_up(view: Reading, keyring: Keyring, staff_id: str) -> str | None:
    """Return the secret that an app is to be told, while it is not in use yet."""
    row = await view.first(
        select(second_factors).where(
            second_factors.c.staff_id == staff_id, second_factors.c.confirmed_at.is_(None)
        )
    )
    return _opened(keyring, staff_id, row.sealed_secret) if row is not None else None


def address_for_app(secret: str, email: str) -> str:
    """Return what an app reads from the picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Closed Loop")


async def confirm(
    tx: Transaction, keyring: Keyring, by: Principal, code: str, *, now: datetime
) -> Sequence[str]:
    """Take the second factor into use once its app shows the right code; return recovery codes.

    Raises ``Unauthenticated`` for a wrong code, and ``Conflict`` where none is being set up.
    """
    if await being_set_up(tx, keyring, by.id) is None:
        raise Conflict("No second factor is being set up. Begin anew.")
    if not await _takes_app_code(tx, keyring, by.id, code, now=now):
        raise Unauthenticated(_WRONG, slug="code-wrong")
    await tx.execute(
        update(second_factors)
        .where(second_factors.c.staff_id == by.id)
        .values(confirmed_at=now)
    )
    await audit.record(tx, by, "second-factor.switched-on", by.id, now=now)
    return await _fresh_codes(tx, by.id, now=now)


async def renew_codes(tx: Transaction, by: Principal, *, now: datetime) -> Sequence[str]:
    """Return new recovery codes of whoever asks; the former ones end."""
    if not await is_asked_for(tx, by.id):
        raise Conflict("There is no second factor that recovery codes could stand in for.")
    await audit.record(tx, by, "second-factor.codes-renewed", by.id, now=now)
    return await _fresh_codes(tx, by.id, now=now)


async def switch_off(tx: Transaction, staff_id: str, *, by: Principal, now: datetime) -> bool:
    """Ask somebody for no code any more; return whether there was anything to switch off."""
    await tx.execute(delete(recovery_codes).where(recovery_codes.c.staff_id == staff_id))
    gone = await tx.execute(delete(second_factors).where(second_factors.c.staff_id == staff_id))
    if gone.rowcount:
        await audit.record(tx, by, "second-factor.switched-off", staff_id, now=now)
    return bool(gone.rowcount)


# ------------------------------------------------------------------ being asked


async def passes(
    tx: Transaction, keyring: Keyring, staff_id: str, code: str, *, now: datetime
) -> Kind | None:
    """Return which code lets somebody in, that of the app or a recovery code; it is used up.

    None for one that lets nobody in.
    """
    if _APP_CODE.fullmatch(_plain(code)):
        fits = await _takes_app_code(tx, keyring, staff_id, code, now=now)
        return "app" if fits else None
    used = await tx.execute(
        delete(recovery_codes).where(
            recovery_codes.c.staff_id == staff_id,
            recovery_codes.c.digest == _digest(staff_id, code),
        )
    )
    return "recovery_code" if used.rowcount else None


async def _takes_app_code(
    tx: Transaction, keyring: Keyring, staff_id: str, code: str, *, now: datetime
) -> bool:
    row = await tx.first(select(second_factors).where(second_factors.c.staff_id == staff_id))
    if row is None:
        return False
    app = pyotp.TOTP(_opened(keyring, staff_id, row.sealed_secret))
    here = int(now.timestamp()) // _STEP
    fits = [
        here + off
        for off in _LATE_OR_EARLY
        if secrets.compare_digest(app.generate_otp(here + off), _plain(code))
    ]
    if not fits:
        return False
    # The condition lets one of two that come with the same code at once be too late.
    taken = await tx.execute(
        update(second_factors)
        .where(second_factors.c.staff_id == staff_id, second_factors.c.last_step < fits[0])
        .values(last_step=fits[0])
    )
    return taken.rowcount == 1


def _opened(keyring: Keyring, staff_id: str, sealed: bytes) -> str:
    return keyring.open(PURPOSE, sealed, context=staff_id).decode()


async def _fresh_codes(tx: Transaction, staff_id: str, *, now: datetime) -> Sequence[str]:
    await tx.execute(delete(recovery_codes).where(recovery_codes.c.staff_id == staff_id))
    codes = [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(_GROUPS))
        for _ in range(CODES)
    ]
    await tx.execute(
        insert(recovery_codes),
        [
            {"digest": _digest(staff_id, code), "staff_id": staff_id, "created_at": now}
            for code in codes
        ],
    )
    return codes


def _digest(staff_id: str, code: str) -> str:
    text = f"{staff_id}\x00{_plain(code)}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(code: str) -> str:
    """Return a code as it was made, however somebody wrote it down."""
    return "".join(char for char in code.upper() if char.isascii() and char.isalnum())


# ------------------------------------------------------------------ who must have one


def roles_in(said: str | None) -> frozenset[Role]:
    """Return the roles that the installation's fact names."""
    known = frozenset(Role)
    return frozenset(Role(name) for name in json.loads(said or "[]") if name in known)


async def roles_that_need_it(view: Reading) -> frozenset[Role]:
    """Return whose passwords are not enough: these roles must have a second factor."""
    return roles_in(await fact(view, SECOND_FACTOR_ROLES))


async def need_it(
    tx: Transaction, roles: Collection[Role], *, by: Principal, now: datetime
) -> None:
    """Say which roles must have a second factor; who has none is led to it at once."""
    if frozenset(roles) == await roles_that_need_it(tx):
        return
    names = sorted(role.value for role in roles)
    await keep(tx, SECOND_FACTOR_ROLES, json.dumps(names), now)
    detail = {"roles": names}
    await audit.record(tx, by, "second-factor.required", "organisation", detail, now=now)
