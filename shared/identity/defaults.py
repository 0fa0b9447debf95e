"""What exists from the first start: the default team, and what the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.identity.groups import DEFAULT_TEAM
from shared.identity.keys import ensure_bootstrap_key
from shared.identity.passwords import hash_password
from shared.identity.people import create_staff, find_staff
from shared.identity.principal import Role
from shared.identity.sign_in import give_default_team_an_address
from shared.identity.tables import teams

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Transaction
    from shared.settings import Settings


async def ensure_defaults(tx: Transaction, settings: Settings, now: datetime) -> None:
    """Have the default team, the bootstrap administrator and the bootstrap key exist.

    Safe at every start and from several processes at once. An account that exists keeps its
    password, and its role.
    """
    await tx.execute(
        tx.insert(teams)
        .values(id=DEFAULT_TEAM, name="Customer care", created_at=now)
        .on_conflict_do_nothing()
    )
    if settings.bootstrap_admin is not None:
        email, _, password = settings.bootstrap_admin.get_secret_value().partition(":")
        if await find_staff(tx, email) is None:
            await create_staff(
                tx,
                email=email,
                name=email.partition("@")[0],
                role=Role.ADMIN,
                now=now,
                password_hash=await hash_password(password),
            )
        await give_default_team_an_address(tx, email)
    if settings.bootstrap_api_key is not None:
        await ensure_bootstrap_key(tx, settings.bootstrap_api_key.get_secret_value(), now=now)
