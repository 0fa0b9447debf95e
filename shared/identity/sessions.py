"""Sessions of staff: a random token in the browser, its digest and its limits in the database.

A session ends after an hour without a request: a follow-up call may well last longer than half
an hour and its note is written afterwards, and an hour is what NIST SP 800-63B-4 recommends at
most for this kind of access. Whatever happens it ends after twelve hours, one working day.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import delete, func, insert, or_, select, update

from shared.errors import TryLater
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from shared.identity.second_factor import is_asked_for, roles_in
from shared.identity.tables import (
    ORGANISATION_NAME,
    SECOND_FACTOR_ROLES,
    installation,
    sessions,
    staff,
    team_members,
)
from shared.ids import new_token

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.db.transaction import Database, Reading, Transaction

IDLE = timedelta(minutes=60)
ABSOLUTE = timedelta(hours=12)
_TOUCH_EVERY = timedelta(minutes=1)
_HANDLE: Final = 16
"""Digits of a session's digest by which its person names it: too few to find the rest by."""

Method = Literal["password", "oidc"]
"""How somebody proved who they are."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A signed-in member of staff."""

    principal: Principal
    digest: str
    seen_at: datetime
    expires_at: datetime
    needs_second_factor: bool = False
    """Whether this person may go nowhere before a second factor is set up."""


@dataclass(frozen=True, kw_only=True)
class OpenSession:
    """One of the places where somebody is signed in, as they see it themselves."""

    handle: str
    browser: str
    method: Method
    created_at: datetime
    seen_at: datetime
    is_this: bool


async def start(
    tx: Transaction,
    staff_id: str,
    *,
    now: datetime,
    browser: str = "",
    method: Method = "password",
) -> str:
    """Open a new session and return its token, which is stored nowhere; sweep ended ones."""
    await tx.execute(
        delete(sessions).where(
            or_(sessions.c.expires_at <= now, sessions.c.seen_at <= now - IDLE)
        )
    )
    token = new_token(32)
    await tx.execute(
        insert(sessions).values(
            digest=_digest(token),
            staff_id=staff_id,
            created_at=now,
            seen_at=now,
            expires_at=now + ABSOLUTE,
            browser=browser,
            method=method,
        )
    )
    return token


async def find(view: Reading, token: str, *, now: datetime) -> Session | None:
    """Return the session behind a token, if it is still one and its person may still act."""
    if not 20 <= len(token) <= 100:
        return None
    row = await view.first(
        select(
            sessions.c.digest,
            sessions.c.seen_at,
            sessions.c.expires_at,
            staff.c.id,
            staff.c.name,
            staff.c.email,
            staff.c.role,
            staff.c.language,
            staff.c.time_zone,
            staff.c.department_id,
            select(installation.c.value)
            .where(installation.c.name == ORGANISATION_NAME)
            .scalar_subquery()
            .label("organisation"),
            select(installation.c.value)
            .where(installation.c.name == SECOND_FACTOR_ROLES)
            .scalar_subquery()
            .label("second_factor_roles"),
        )
        .join(staff, staff.c.id == sessions.c.staff_id)
        .where(
            sessions.c.digest == _digest(token),
            sessions.c.expires_at > now,
            sessions.c.seen_at > now - IDLE,
            staff.c.disabled_at.is_(None),
        )
    )
    if row is None:
        return None
    in_teams = await view.all(
        select(team_members.c.team_id).where(team_members.c.staff_id == row.id)
    )
    role = Role(row.role)
    return Session(
        principal=Principal(
            kind="staff",
            id=row.id,
            name=row.name,
            scopes=ROLE_SCOPES[role],
            role=role,
            teams=frozenset(team.team_id for team in in_teams),
            department=row.department_id,
            email=row.email,
            language=row.language,
            time_zone=row.time_zone,
            organisation=row.organisation or "",
        ),
        digest=row.digest,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        needs_second_factor=(
            role in roles_in(row.second_factor_roles)
            and not await is_asked_for(view, row.id)
            # Single sign-on asks for what it takes itself.
            and await _method_of(view, row.digest) == "password"
        ),
    )


async def _method_of(view: Reading, digest: str) -> str:
    return str(await view.scalar(select(sessions.c.method).where(sessions.c.digest == digest)))


async def keep_alive(database: Database, session: Session, *, now: datetime) -> None:
    """Note that the person is still there, at most once a minute; a miss costs nothing."""
    if now - session.seen_at < _TOUCH_EVERY:
        return
    with suppress(TryLater):
        async with database.transaction() as tx:
            await tx.execute(
                update(sessions).where(sessions.c.digest == session.digest).values(seen_at=now)
            )


async def end(tx: Transaction, token: str) -> None:
    """Make a token worthless, wherever copies of it are."""
    await tx.execute(delete(sessions).where(sessions.c.digest == _digest(token)))


async def end_all(tx: Transaction, staff_id: str, *, but: str = "") -> None:
    """Sign a person out everywhere, or everywhere but where this token is."""
    await tx.execute(
        delete(sessions).where(
            sessions.c.staff_id == staff_id, sessions.c.digest != _digest(but)
        )
    )


async def open_sessions(
    view: Reading, staff_id: str, *, token: str, now: datetime
) -> Sequence[OpenSession]:
    """Return where somebody is signed in, the latest seen first; ``token`` is the asker's."""
    rows = await view.all(
        select(sessions)
        .where(
            sessions.c.staff_id == staff_id,
            sessions.c.expires_at > now,
            sessions.c.seen_at > now - IDLE,
        )
        .order_by(sessions.c.seen_at.desc(), sessions.c.digest)
    )
    here = _digest(token)
    return [
        OpenSession(
            handle=row.digest[:_HANDLE],
            browser=row.browser,
            method=row.method,
            created_at=row.created_at,
            seen_at=row.seen_at,
            is_this=row.digest == here,
        )
        for row in rows
    ]


async def end_one(tx: Transaction, staff_id: str, handle: str) -> bool:
    """End one of a person's own sessions; return whether there was one of this handle."""
    gone = await tx.execute(
        delete(sessions).where(
            sessions.c.staff_id == staff_id,
            func.substr(sessions.c.digest, 1, _HANDLE) == handle,
        )
    )
    return bool(gone.rowcount)


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
