"""Whom an OpenID Connect provider vouches for, and who that is here.

Somebody is recognised by issuer and subject, which never change hands. Only at the first time
a verified address leads to an account, and to one that no other subject of that issuer has:
an address may pass to a colleague, an account must not. With a role map the provider decides
who comes in and as what; without one it says only who somebody is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from shared.errors import Forbidden, Misconfigured
from shared.identity import audit, sessions
from shared.identity.audit import SYSTEM
from shared.identity.installation import organisation
from shared.identity.people import (
    Staff,
    create_staff,
    find_staff,
    first_administrator,
    staff_member,
    update_staff,
)
from shared.identity.principal import Principal, Role
from shared.identity.sign_in import give_default_team_an_address
from shared.identity.tables import federated_identities

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.db.transaction import Transaction

_NO_ACCOUNT = (
    "You are signed in there, but no account here is yours. Ask an administrator for one."
)


@dataclass(frozen=True, kw_only=True)
class Vouched:
    """What a provider says of somebody, verified by its signature."""

    issuer: str
    subject: str = field(repr=False)
    email: str | None = field(default=None, repr=False)
    """Their address, if the provider has verified it."""
    name: str = field(default="", repr=False)
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class RoleMap:
    """Which value of the provider's makes somebody what here; the first that fits counts."""

    pairs: Sequence[tuple[str, Role]] = ()

    @classmethod
    def read(cls, text: str) -> RoleMap:
        """Read ``value=role`` pairs; raise ``Misconfigured`` for what is none.

        A value may hold commas and equal signs, as distinguished names do.
        """
        pairs = []
        for part in filter(None, map(str.strip, text.split(";"))):
            value, _, role = (each.strip() for each in part.rpartition("="))
            if not value or role not in set(Role):
                raise Misconfigured(
                    "CLOSED_LOOP_OIDC_ROLE_MAP takes pairs such as support=agent;it=admin, with"
                    f" one of the roles {', '.join(Role)}."
                )
            pairs.append((value, Role(role)))
        return cls(pairs=tuple(pairs))

    def role_of(self, who: Vouched) -> Role | None:
        """Return what somebody is here by what they are there."""
        return next((role for value, role in self.pairs if value in who.groups), None)


async def enter(
    tx: Transaction, who: Vouched, roles: RoleMap, *, now: datetime, browser: str = ""
) -> str:
    """Return the token of a new session for whom the provider vouches for.

    Raises ``Forbidden`` for whoever has no account here and is to get none, or a disabled one;
    the answer does not tell which.
    """
    role = roles.role_of(who)
    person = None if roles.pairs and role is None else await _known(tx, who, now=now)
    if person is None and role is not None:
        person = await _new(tx, who, role, now=now)
    if person is None or not person.active:
        raise Forbidden(_NO_ACCOUNT, slug="no-account")
    if role is not None and role is not person.role:
        person = await update_staff(tx, person.id, role=role, now=now)
    token = await sessions.start(tx, person.id, browser=browser, method="oidc", now=now)
    actor = Principal(kind="staff", id=person.id, name=person.name, scopes=frozenset())
    await audit.record(tx, actor, "session.started", person.id, {"by": "oidc"}, now=now)
    return token


async def unlink(tx: Transaction, person: Staff, *, now: datetime) -> int:
    """Forget whom the providers take somebody for; the next sign-in goes by the address again.

    Returns how many identities there were. Sessions end, as after any change of credentials.
    """
    gone = await tx.execute(
        delete(federated_identities).where(federated_identities.c.staff_id == person.id)
    )
    if gone.rowcount:
        await sessions.end_all(tx, person.id)
        await audit.record(tx, SYSTEM, "staff.unlinked", person.id, now=now)
    return gone.rowcount


async def _known(tx: Transaction, who: Vouched, *, now: datetime) -> Staff | None:
    """Return whose identity this is; a verified address links it, the first time."""
    linked = await tx.scalar(
        select(federated_identities.c.staff_id).where(
            federated_identities.c.issuer == who.issuer,
            federated_identities.c.subject_digest == _digest(who),
        )
    )
    if linked is not None:
        return await staff_member(tx, linked)
    person = await find_staff(tx, who.email) if who.email else None
    if person is None or not person.active:
        return None
    return person if await _link(tx, who, person, now=now) else None


async def _new(tx: Transaction, who: Vouched, role: Role, *, now: datetime) -> Staff | None:
    """Make an account for somebody with a role; None if it could not be theirs."""
    if not who.email or await find_staff(tx, who.email) is not None:
        return None
    home = await organisation(tx)
    is_first = role is Role.ADMIN and await first_administrator(tx) is None
    person = await create_staff(
        tx,
        email=who.email,
        name=who.name or who.email.partition("@")[0],
        role=role,
        time_zone=home.time_zone if home else "UTC",
        now=now,
    )
    if is_first:
        await give_default_team_an_address(tx, person.email)
    await _link(tx, who, person, now=now)
    return person


async def _link(tx: Transaction, who: Vouched, person: Staff, *, now: datetime) -> bool:
    """Note that this identity is theirs, unless they have another one there already."""
    made = await tx.execute(
        tx.insert(federated_identities)
        .values(
            issuer=who.issuer,
            subject_digest=_digest(who),
            staff_id=person.id,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    if made.rowcount:
        await audit.record(tx, SYSTEM, "staff.linked", person.id, now=now)
    return bool(made.rowcount)


def _digest(who: Vouched) -> str:
    return sha256(who.subject.encode("utf-8", "surrogatepass")).hexdigest()
