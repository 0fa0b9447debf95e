"""``closed-loop user …`` and ``closed-loop key …``."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from services.commands.output import data, rows, say, say_if_new
from shared.clock import SystemClock
from shared.db import schema
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import Invalid, NotFound
from shared.identity import federation, groups, keys, passwords, people
from shared.identity.audit import SYSTEM
from shared.identity.defaults import ensure_defaults
from shared.identity.principal import Role, Scope
from shared.identity.second_factor import is_asked_for, switch_off
from shared.ids import new_token
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from shared.db.transaction import Reading
    from shared.identity.people import Staff


@asynccontextmanager
async def open_database(*, begins: bool = False) -> AsyncIterator[Database]:
    """Open the installation's database for one command.

    Only what makes the first of something ``begins`` an installation, and says so.
    """
    settings = Settings.load()
    if begins:
        say_if_new(settings)
    else:
        schema.require_begun(settings.sqlite_path)
    engines = Engines.open(settings.database_url, alone=False)
    try:
        if settings.is_sqlite:
            await schema.upgrade(engines)
        await schema.require_current(engines)
        database = Database(engines)
        async with database.transaction() as tx:
            await ensure_defaults(tx, settings, SystemClock().now())
        yield database
    finally:
        await engines.close()


async def add_user(
    email: str,
    *,
    name: str | None,
    role: str,
    teams: Sequence[str],
    language: str,
    time_zone: str,
) -> int:
    """Add a person and print the first password, once."""
    password = new_token(12)
    now = SystemClock().now()
    async with open_database(begins=True) as database:
        async with database.reading() as view:
            known = {team.name: team.id for team in await groups.list_teams(view)}
        for team in teams:
            if team not in known:
                message = f"There is no team {team!r}. Known teams: {', '.join(known)}."
                raise NotFound(message)
        hashed = await passwords.hash_password(password)
        async with database.transaction() as tx:
            await people.create_staff(
                tx,
                email=email,
                name=name or email.partition("@")[0],
                role=_role(role),
                language=language,
                time_zone=time_zone,
                team_ids=[known[team] for team in teams],
                password_hash=hashed,
                now=now,
            )
    data(password)
    say(f"{email} can sign in with this password. It is shown this once.")
    return 0


async def list_users(*, as_json: bool) -> int:
    """List people with role and state."""
    async with open_database() as database, database.reading() as view:
        found = await people.list_staff(view, with_disabled=True)
    rows(
        ("email", "name", "role", "language", "time_zone", "state"),
        [
            (
                person.email,
                person.name,
                person.role.value,
                person.language,
                person.time_zone,
                "disabled" if person.disabled_at else "active",
            )
            for person in found
        ],
        as_json=as_json,
    )
    return 0


async def reset_user(email: str, *, without_second_factor: bool = False) -> int:
    """Set and print a new password; every session of the person ends.

    ``without_second_factor`` is for who has lost the app and the recovery codes too.
    """
    password = new_token(12)
    hashed = await passwords.hash_password(password)
    async with open_database() as database, database.transaction() as tx:
        person = await _person(tx, email)
        now = SystemClock().now()
        await people.set_password(tx, person.id, hashed, now=now)
        if without_second_factor:
            await switch_off(tx, person.id, by=SYSTEM, now=now)
        is_asked = await is_asked_for(tx, person.id)
    data(password)
    say(
        f"{email} can sign in with this password"
        f"{' and a code of their app' if is_asked else ''}. It is shown this once."
    )
    return 0


async def disable_user(email: str) -> int:
    """Let a person sign in no more; tasks stay with their owner until reassigned."""
    async with open_database() as database, database.transaction() as tx:
        person = await _person(tx, email)
        await people.disable_staff(tx, person.id, now=SystemClock().now())
    say(f"{email} can sign in no more.")
    return 0


async def enable_user(email: str) -> int:
    """Let a person sign in again, as what they were and by the password they had."""
    async with open_database() as database, database.transaction() as tx:
        person = await _person(tx, email)
        await people.enable_staff(tx, person.id, now=SystemClock().now())
    say(f"{email} can sign in again.")
    return 0


async def unlink_user(email: str) -> int:
    """Forget a person's identities at providers; every session of theirs ends."""
    async with open_database() as database, database.transaction() as tx:
        person = await _person(tx, email)
        gone = await federation.unlink(tx, person, now=SystemClock().now())
    say(
        f"{email} is recognised by the address again at the next single sign-on."
        if gone
        else f"No provider has taken anybody for {email} yet."
    )
    return 0


async def create_api_key(
    source: str, *, name: str, scopes: Sequence[str], test: bool = False
) -> int:
    """Create a key and print it, once."""
    async with open_database(begins=True) as database, database.transaction() as tx:
        key, plain = await keys.create_key(
            tx,
            source=source,
            name=name or source,
            scopes=_scopes(scopes),
            test=test,
            now=SystemClock().now(),
        )
    data(plain)
    say(
        f"{'Test key' if test else 'Key'} {key.id} of source {source} with"
        f" {', '.join(sorted(scopes))}. Shown this once."
    )
    return 0


async def rotate_api_key(key_id: str, *, overlap_hours: int) -> int:
    """Make a key in the place of another and print it, once."""
    async with open_database() as database, database.transaction() as tx:
        key, plain = await keys.rotate_key(
            tx, key_id, overlap=timedelta(hours=overlap_hours), now=SystemClock().now()
        )
        former = await keys.find_key(tx, key_id)
    data(plain)
    until = former.expires_at.isoformat() if former and former.expires_at else "now"
    say(f"Key {key.id} takes the place of {key_id}, which ends at {until}. Shown this once.")
    return 0


async def list_api_keys(*, as_json: bool) -> int:
    """List keys by their visible prefix."""
    async with open_database() as database, database.reading() as view:
        found = await keys.list_keys(view)
    rows(
        ("id", "source", "name", "prefix", "scopes", "test", "last_used_on", "state"),
        [
            (
                key.id,
                key.source,
                key.name,
                key.prefix,
                " ".join(sorted(key.scopes)),
                key.test if as_json else "test" if key.test else "",
                key.last_used_on,
                "active" if key.usable(SystemClock().now()) else "revoked or expired",
            )
            for key in found
        ],
        as_json=as_json,
    )
    return 0


async def revoke_api_key(key_id: str) -> int:
    """Revoke a key; running services refuse it within a second."""
    async with open_database() as database, database.transaction() as tx:
        await keys.revoke_key(tx, key_id, now=SystemClock().now())
    say(f"{key_id} is revoked.")
    return 0


async def _person(view: Reading, email: str) -> Staff:
    person = await people.find_staff(view, email)
    if person is None:
        message = f"Nobody here has the address {email}. See: closed-loop user list"
        raise NotFound(message)
    return person


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        message = f"There is no role {name!r}. Roles: {', '.join(Role)}."
        raise Invalid(message) from None


def _scopes(names: Sequence[str]) -> list[Scope]:
    try:
        return [Scope(name) for name in names]
    except ValueError:
        message = f"One of these is no scope. Scopes: {', '.join(Scope)}."
        raise Invalid(message) from None
