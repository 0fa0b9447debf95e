"""What commands open beside a running installation: its tables and keys, never its workers.

Nothing is published or consumed here; whoever serves does that, within a second.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.composition import (
    MODULES,
    Ingest,
    Loop,
    desk_of,
    hold_ingest,
    housekeeping_of,
    open_bus,
)
from shared.clock import Clock, SystemClock
from shared.db import schema
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.identity.rewrapping import REGISTER
from shared.identity.secret import load_secret, verify_secret
from shared.service import Kit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from shared.housekeeping import Housekeeping
    from shared.identity.rewrapping import SealedColumn
    from shared.letters import LetterDesk
    from shared.sealing import Keyring
    from shared.service import Service
    from shared.settings import Settings


@asynccontextmanager
async def _beside(settings: Settings) -> AsyncIterator[tuple[Engines, Clock, Keyring]]:
    """Open database and keyring beside whoever serves."""
    schema.require_begun(settings.sqlite_path)
    clock, keyring = SystemClock(), load_secret(settings)
    engines = Engines.open(settings.database_url, alone=False)
    try:
        if settings.is_sqlite:
            await schema.upgrade(engines)
        await schema.require_current(engines)
        async with Database(engines).transaction() as tx:
            await verify_secret(tx, keyring, clock.now(), adopt=False)
        yield engines, clock, keyring
    finally:
        await engines.close()


@asynccontextmanager
async def ingest_beside(settings: Settings) -> AsyncIterator[Ingest]:
    """Open what commands about sources need, beside whoever serves: nothing is published."""
    async with _beside(settings) as (engines, clock, keyring):
        yield hold_ingest(
            clock=clock,
            database=Database(engines, MODULES["ingest"][1].PLUMBING),
            keyring=keyring,
            person_keys=PersonKeys(keyring),
            settings=settings,
        )


@asynccontextmanager
async def _services_beside(settings: Settings) -> AsyncIterator[Sequence[tuple[Kit, Service]]]:
    """Build every service beside whoever serves, and let none of its workers run."""
    async with AsyncExitStack() as stack:
        engines, clock, keyring = await stack.enter_async_context(_beside(settings))
        bus = open_bus(settings, engines, clock)
        stack.push_async_callback(bus.close)
        kits = [
            Kit(
                settings=settings,
                clock=clock,
                database=Database(engines, tables.PLUMBING),
                bus=bus,
                keyring=keyring,
                person_keys=PersonKeys(keyring),
            )
            for _, tables in MODULES.values()
        ]
        modules = [module for module, _ in MODULES.values()]
        yield [(kit, module.build(kit)) for kit, module in zip(kits, modules, strict=True)]


@asynccontextmanager
async def loop_beside(settings: Settings) -> AsyncIterator[Loop]:
    """Open what commands about themes need, beside whoever serves: nothing is published."""
    async with _beside(settings) as (engines, clock, keyring):
        yield Loop(
            settings=settings,
            clock=clock,
            database=Database(engines, MODULES["loop"][1].PLUMBING),
            keyring=keyring,
            person_keys=PersonKeys(keyring),
        )


@asynccontextmanager
async def letters_beside(settings: Settings) -> AsyncIterator[Sequence[LetterDesk]]:
    """Open the desks of dead letters, beside whoever serves.

    What a replay does is done in one transaction, which waits for the other process's as that
    one waits for ours. What it announces is published by whoever serves, within a second.
    """
    async with _services_beside(settings) as built:
        yield [desk_of(kit, service) for kit, service in built]


@asynccontextmanager
async def housekeeping_beside(settings: Settings) -> AsyncIterator[Sequence[Housekeeping]]:
    """Open what forgets things whose time is over, of all services, beside whoever serves."""
    async with _services_beside(settings) as built:
        yield [housekeeping_of(kit, service) for kit, service in built]


@dataclass(frozen=True, kw_only=True)
class Vault:
    """All that is sealed under the installation's secret, and the secrets themselves."""

    database: Database
    clock: Clock
    keyring: Keyring
    columns: Sequence[SealedColumn]


@asynccontextmanager
async def vault_beside(settings: Settings) -> AsyncIterator[Vault]:
    """Open what is sealed under the installation's secret, beside whoever serves."""
    async with _beside(settings) as (engines, clock, keyring):
        own = [column for _, tables in MODULES.values() for column in tables.SEALED]
        yield Vault(
            database=Database(engines),
            clock=clock,
            keyring=keyring,
            columns=[*REGISTER, *own],
        )
