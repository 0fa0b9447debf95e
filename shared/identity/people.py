"""Staff: who there is, what each may do, and the rules for changing that.

Every change is audited in its own transaction; a change of role or a disabled account ends
the sessions of that person at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, delete, insert, select, update

from shared.errors import Conflict, Finding, Invalid, NotFound
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.groups import team
from shared.identity.principal import Principal, Role
from shared.identity.sessions import end_all
from shared.identity.tables import password_resets, staff, team_members
from shared.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class Staff:
    """One member of staff."""

    id: str
    email: str
    name: str
    role: Role
    language: str
    time_zone: str
    department_id: str | None
    created_at: datetime
    disabled_at: datetime | None

    @property
    def active(self) -> bool:
        """Tell whether this person may sign in and be given work."""
        return self.disabled_at is None


# ------------------------------------------------------------------ look-ups


async def staff_member(view: Reading, staff_id: str) -> Staff | None:
    """Return one member of staff, active or not."""
    row = await view.first(_STAFF.where(staff.c.id == staff_id))
    return _staff(row) if row else None


async def find_staff(view: Reading, email: str) -> Staff | None:
    """Return the member of staff with this address, whatever its case."""
    row = await view.first(_STAFF.where(staff.c.email == plain_email(email)))
    return _staff(row) if row else None


async def list_staff(
    view: Reading,
    *,
    limit: int = 200,
    after: str | None = None,
    with_disabled: bool = False,
) -> Sequence[Staff]:
    """Return staff in the order of their making, beginning behind the id ``after``."""
    query = _STAFF.order_by(staff.c.id).limit(limit)
    if after is not None:
        query = query.where(staff.c.id > after)
    if not with_disabled:
        query = query.where(staff.c.disabled_at.is_(None))
    return [_staff(row) for row in await view.all(query)]


def disabled() -> Select[tuple[str]]:
    """Return the query of those who can be given no work, as a condition for other stores."""
    return select(staff.c.id).where(staff.c.disabled_at.is_not(None))


async def first_administrator(view: Reading) -> Staff | None:
    """Return the administrator who has been here longest."""
    row = await view.first(
        _STAFF.where(staff.c.role == Role.ADMIN, staff.c.disabled_at.is_(None))
        .order_by(staff.c.created_at, staff.c.id)
        .limit(1)
    )
    return _staff(row) if row else None


async def password_hash_of(view: Reading, email: str) -> tuple[Staff, str | None] | None:
    """Return the person and what their password is checked against."""
    row = await view.first(_STAFF.where(staff.c.email == plain_email(email)))
    return (_staff(row), row.password_hash) if row else None


async def wanted(view: Reading, staff_id: str) -> Staff:
    """Return one member of staff, or raise ``NotFound``."""
    person = await staff_member(view, staff_id)
    if person is None:
        raise NotFound("There is no such member of staff.")
    return person


async def members(view: Reading, team_id: str) -> Sequence[Staff]:
    """Return the active members of a team, by name."""
    rows = await view.all(
        _STAFF.join(team_members, team_members.c.staff_id == staff.c.id)
        .where(team_members.c.team_id == team_id, staff.c.disabled_at.is_(None))
        .order_by(staff.c.name, staff.c.id)
    )
    return [_staff(row) for row in rows]


async def team_ids_of(view: Reading, staff_id: str) -> Sequence[str]:
    """Return the teams that somebody belongs to."""
    rows = await view.all(
        select(team_members.c.team_id)
        .where(team_members.c.staff_id == staff_id)
        .order_by(team_members.c.team_id)
    )
    return [row.team_id for row in rows]


# ------------------------------------------------------------------ changes


async def create_staff(
    tx: Transaction,
    *,
    email: str,
    name: str,
    role: Role,
    now: datetime,
    language: str = "en",
    time_zone: str = "UTC",
    department_id: str | None = None,
    team_ids: Sequence[str] = (),
    password_hash: str | None = None,
    by: Principal = SYSTEM,
) -> Staff:
    """Add a member of staff; raise ``Conflict`` when the address is taken.

    ``password_hash`` comes from ``shared.identity.passwords``; without one the person cannot
    sign in until a password is set.
    """
    person = Staff(
        id=new_id("stf"),
        email=checked_email(email),
        name=checked_name(name),
        role=role,
        language=language,
        time_zone=checked_time_zone(time_zone),
        department_id=department_id,
        created_at=now,
        disabled_at=None,
    )
    made = await tx.execute(
        tx.insert(staff)
        .values(
            id=person.id,
            email=person.email,
            name=person.name,
            role=role.value,
            language=language,
            time_zone=person.time_zone,
            department_id=department_id,
            password_hash=password_hash,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    if made.rowcount == 0:
        raise Conflict("Somebody with this address exists already.", slug="address-taken")
    in_teams = list(dict.fromkeys(team_ids))
    for team_id in in_teams:
        if await team(tx, team_id) is None:
            raise NotFound("There is no such team.")
        await tx.execute(insert(team_members).values(team_id=team_id, staff_id=person.id))
    detail = {"role": role.value, "teams": in_teams}
    await audit.record(tx, by, "staff.created", person.id, detail, now=now)
    return person


async def update_staff(
    tx: Transaction,
    staff_id: str,
    *,
    now: datetime,
    by: Principal = SYSTEM,
    email: str | None = None,
    name: str | None = None,
    role: Role | None = None,
    language: str | None = None,
    time_zone: str | None = None,
    department_id: str | None = None,
) -> Staff:
    """Change what is given; a new role ends the person's sessions."""
    person = await wanted(tx, staff_id)
    values: dict[str, Any] = {
        "email": None if email is None else checked_email(email),
        "name": None if name is None else checked_name(name),
        "role": None if role is None else role.value,
        "language": language,
        "time_zone": None if time_zone is None else checked_time_zone(time_zone),
        "department_id": department_id,
    }
    values = {column: value for column, value in values.items() if value is not None}
    if not values:
        return person
    if role is not None and role is not person.role:
        if person.role is Role.ADMIN:
            await _not_the_last_administrator(tx, person)
        await end_all(tx, staff_id)
    if "email" in values:
        holder = await find_staff(tx, values["email"])
        if holder is not None and holder.id != staff_id:
            raise Conflict("Somebody with this address exists already.", slug="address-taken")
        # Whoever reads the old mailbox is not to set a password by a link that went there.
        await tx.execute(
            delete(password_resets).where(
                password_resets.c.staff_id == staff_id, password_resets.c.used_at.is_(None)
            )
        )
    await tx.execute(update(staff).where(staff.c.id == staff_id).values(**values))
    detail = {"changed": sorted(values), **({"role": role.value} if role else {})}
    await audit.record(tx, by, "staff.changed", staff_id, detail, now=now)
    return await wanted(tx, staff_id)


async def disable_staff(
    tx: Transaction, staff_id: str, *, now: datetime, by: Principal = SYSTEM
) -> Staff:
    """End the account: no sign-in, no new work, sessions end at once. Again is no change."""
    person = await wanted(tx, staff_id)
    if not person.active:
        return person
    if person.role is Role.ADMIN:
        await _not_the_last_administrator(tx, person)
    await tx.execute(update(staff).where(staff.c.id == staff_id).values(disabled_at=now))
    await end_all(tx, staff_id)
    await audit.record(tx, by, "staff.disabled", staff_id, now=now)
    return await wanted(tx, staff_id)


async def enable_staff(
    tx: Transaction, staff_id: str, *, now: datetime, by: Principal = SYSTEM
) -> Staff:
    """Let somebody in again, as what they were and by the password they had."""
    person = await wanted(tx, staff_id)
    if person.active:
        return person
    await tx.execute(update(staff).where(staff.c.id == staff_id).values(disabled_at=None))
    await audit.record(tx, by, "staff.enabled", staff_id, now=now)
    return await wanted(tx, staff_id)


async def set_password(
    tx: Transaction,
    staff_id: str,
    password_hash: str,
    *,
    now: datetime,
    by: Principal = SYSTEM,
) -> None:
    """Replace the password; end every session of the person, and every link to replace it."""
    await wanted(tx, staff_id)
    await tx.execute(
        update(staff).where(staff.c.id == staff_id).values(password_hash=password_hash)
    )
    await tx.execute(
        update(password_resets)
        .where(password_resets.c.staff_id == staff_id, password_resets.c.used_at.is_(None))
        .values(used_at=now)
    )
    await end_all(tx, staff_id)
    await audit.record(tx, by, "staff.password-set", staff_id, now=now)


async def _not_the_last_administrator(tx: Transaction, person: Staff) -> None:
    # Locked where rows can be: two administrators must not demote each other at once.
    rows = await tx.all(
        select(staff.c.id)
        .where(staff.c.role == Role.ADMIN, staff.c.disabled_at.is_(None))
        .with_for_update()
    )
    others = [row.id for row in rows if row.id != person.id]
    if not others:
        raise Conflict(
            "This is the last administrator. Make somebody else an administrator first.",
            slug="last-administrator",
        )


# ------------------------------------------------------------------ rows and rules

_STAFF = select(
    staff.c.id,
    staff.c.email,
    staff.c.name,
    staff.c.role,
    staff.c.language,
    staff.c.time_zone,
    staff.c.department_id,
    staff.c.password_hash,
    staff.c.created_at,
    staff.c.disabled_at,
)


def _staff(row: Row[Any]) -> Staff:
    return Staff(
        id=row.id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        language=row.language,
        time_zone=row.time_zone,
        department_id=row.department_id,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


def plain_email(given: str) -> str:
    """Return the form in which addresses are stored and compared."""
    return given.strip().lower()


def checked_email(given: str) -> str:
    """Return an address as it is stored, or raise ``Invalid``."""
    email = plain_email(given)
    name, _, host = email.rpartition("@")
    if (
        not name
        or not host
        or len(email) > 254
        or not email.isprintable()
        or not set(name).isdisjoint(' @,;:<>()[]\\"')
        or not set(host).isdisjoint(' ,;:<>()\\"')
    ):
        raise Invalid(
            "This is not an e-mail address.",
            [
                Finding(
                    pointer="/email",
                    code="not_an_address",
                    detail="not usable as an e-mail address",
                    fix="send one address such as name@example.org",
                )
            ],
        )
    return email


def checked_time_zone(given: str) -> str:
    """Return a time zone's name, or raise ``Invalid`` if the machine knows none like it."""
    try:
        return ZoneInfo(given).key
    except (KeyError, ValueError, OSError):
        raise Invalid(
            "There is no such time zone.",
            [
                Finding(
                    pointer="/time_zone",
                    code="unknown_time_zone",
                    detail="not a name of the time zone database",
                    fix="send a name such as Europe/Berlin",
                )
            ],
        ) from None


def checked_name(given: str) -> str:
    """Return a name with single spaces, or raise ``Invalid``."""
    name = " ".join(given.split())
    if not name or len(name) > 200 or not name.isprintable():
        raise Invalid(
            "This is not usable as a name.",
            [
                Finding(
                    pointer="/name",
                    code="not_a_name",
                    detail="blank, too long or with control characters",
                    fix="send 1 to 200 printable characters",
                )
            ],
        )
    return name
