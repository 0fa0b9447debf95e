"""Signing staff in: the throttle, the password, the second factor, the new session.

Each try is written down before the password is looked at, so that tries that run side by side
count too; a good one clears its account. Wrong address, wrong password and disabled account
give one answer in one time. Whoever has a second factor shows it in a second step, for which
the browser holds a token that proves the first one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sqlalchemy import update

from shared import links
from shared.errors import Conflict, Gone, NotFound, Unauthenticated
from shared.identity import audit, second_factor, sessions, throttle
from shared.identity.audit import SYSTEM
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.passwords import check_password, hash_password, verify_password
from shared.identity.people import (
    Staff,
    checked_email,
    create_staff,
    first_administrator,
    password_hash_of,
    plain_email,
    staff_member,
)
from shared.identity.principal import Principal, Role
from shared.identity.tables import teams

if TYPE_CHECKING:
    from shared.db.transaction import Database, Reading, Transaction
    from shared.sealing import Keyring

PER_ACCOUNT: Final = 10
PER_ADDRESS: Final = 50
"""An office may sit behind one address, and one person mistypes more than once."""
CODES_PER_ACCOUNT: Final = 5
"""A code has six digits: fewer guesses are enough for somebody who has the app."""
TIME_FOR_CODE: Final = timedelta(minutes=10)

_SAME_ANSWER = "The address and the password do not fit together."
_PURPOSE: Final = "second-step"


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """The person is in; ``token`` is the new session's."""

    token: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class CodeWanted:
    """The password fits, and a code is to follow; ``token`` proves the first step."""

    token: str = field(repr=False)


async def sign_in(
    database: Database,
    keyring: Keyring,
    *,
    email: str,
    password: str,
    address: str,
    now: datetime,
    browser: str = "",
) -> SignedIn | CodeWanted:
    """Check address and password; begin a session, or say that a code is wanted too.

    Raises ``Unauthenticated`` when anything does not fit and ``TooMany`` when this account or
    address has failed too often of late.
    """
    account = keyring.mac("sign-in", "account", plain_email(email))
    origin = keyring.mac("sign-in", "address", address)
    async with database.transaction() as tx:
        await throttle.write_down(tx, {account: PER_ACCOUNT, origin: PER_ADDRESS}, now=now)
    async with database.reading() as view:
        found = await password_hash_of(view, email)
    person, password_hash = found if found is not None else (None, None)
    fits = await verify_password(password, password_hash)
    if person is None or password_hash is None or not fits or not person.active:
        async with database.transaction() as tx:
            await _note_refusal(tx, person, "password", now=now)
        raise Unauthenticated(_SAME_ANSWER, slug="sign-in-failed")
    async with database.transaction() as tx:
        await throttle.forget(tx, account)
        await throttle.take_back_one(tx, origin)
        if await second_factor.is_asked_for(tx, person.id):
            subject = f"{person.id}.{_mark(password_hash)}"
            return CodeWanted(token=links.sign(keyring, _PURPOSE, subject, now + TIME_FOR_CODE))
        return await _let_in(tx, person, browser=browser, now=now)


async def show_code(
    database: Database,
    keyring: Keyring,
    *,
    token: str,
    code: str,
    now: datetime,
    browser: str = "",
) -> SignedIn:
    """Take the second step: begin a session if the code is the app's, or a recovery code.

    Raises ``Gone`` when the first step is to be taken anew, ``Unauthenticated`` for a wrong
    code and ``TooMany`` for too many of them.
    """
    async with database.reading() as view:
        person = await awaited(view, keyring, token, now=now)
    account = keyring.mac("sign-in", "code", person.id)
    async with database.transaction() as tx:
        await throttle.write_down(tx, {account: CODES_PER_ACCOUNT}, now=now)
    async with database.transaction() as tx:
        shown = await second_factor.passes(tx, keyring, person.id, code, now=now)
        if shown is not None:
            await throttle.forget(tx, account)
            return await _let_in(tx, person, browser=browser, now=now, second_factor=shown)
        await _note_refusal(tx, person, "code", now=now)
    raise Unauthenticated("The code does not fit.", slug="code-wrong")


async def awaited(view: Reading, keyring: Keyring, token: str, *, now: datetime) -> Staff:
    """Return whose code is awaited; raise ``Gone`` if the password is to be shown again.

    That is so after a while, and once the password is another one or the account is closed.
    """
    try:
        staff_id, _, mark = links.read(keyring, _PURPOSE, token, now).partition(".")
    except NotFound:
        staff_id, mark = "", ""
    person = await staff_member(view, staff_id)
    known = await password_hash_of(view, person.email) if person is not None else None
    password_hash = known[1] if known is not None else None
    if (
        person is None
        or not person.active
        or password_hash is None
        or _mark(password_hash) != mark
    ):
        raise Gone("Sign in with your password again.")
    return person


async def proves(
    database: Database, keyring: Keyring, person: Principal, password: str, *, now: datetime
) -> bool:
    """Tell whether this is the password of somebody who is signed in.

    Raises ``TooMany`` after too many wrong ones: who finds an open browser may not guess.
    """
    account = keyring.mac("sign-in", "account", plain_email(person.email or ""))
    async with database.transaction() as tx:
        await throttle.write_down(tx, {account: PER_ACCOUNT}, now=now)
    async with database.reading() as view:
        found = await password_hash_of(view, person.email or "")
    fits = await verify_password(password, found[1] if found is not None else None)
    async with database.transaction() as tx:
        if fits:
            await throttle.take_back_one(tx, account)
        else:
            detail = {"at": "password"}
            await audit.record(tx, person, "session.refused", person.id, detail, now=now)
    return fits


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


async def _let_in(
    tx: Transaction, person: Staff, *, browser: str, now: datetime, **detail: str
) -> SignedIn:
    token = await sessions.start(tx, person.id, browser=browser, now=now)
    actor = _as_principal(person)
    await audit.record(tx, actor, "session.started", person.id, detail, now=now)
    return SignedIn(token=token)


async def _note_refusal(
    tx: Transaction, person: Staff | None, at: str, *, now: datetime
) -> None:
    """Leave a trace of a sign-in that failed: whose it would have been, if anybody's."""
    subject = person.id if person is not None else "nobody"
    await audit.record(tx, SYSTEM, "session.refused", subject, {"at": at}, now=now)


def _mark(password_hash: str) -> str:
    """Return what tells one password from the next, and nothing of it."""
    return sha256(password_hash.encode()).hexdigest()[:16]


def _as_principal(person: Staff) -> Principal:
    return Principal(kind="staff", id=person.id, name=person.name, scopes=frozenset())
