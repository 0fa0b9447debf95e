"""The small service of ``web_house``, and loop, both served without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from shared.db.transaction import Database
from shared.identity.defaults import ensure_defaults
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from shared.settings import Settings
from tests.adapters.web_house import House, build
from tests.desk import Desk
from tests.fakes import ManualClock
from tests.handlers.intake import Intake
from tests.loop_door import Api, opened


@pytest_asyncio.fixture
async def house(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    built, engines = await build(tmp_path, **getattr(request, "param", {}))
    yield built
    await built.app.state.gate.keys.settle()
    await engines.close()


@pytest_asyncio.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as ready:
        yield ready


@pytest_asyncio.fixture
async def api(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Api]:
    """Loop behind its routes, with what every installation has from the start."""
    intake = Intake(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    async with intake.database.transaction() as tx:
        await ensure_defaults(tx, Settings(), clock.now())
    async with opened(intake, database_of("shared")) as door:
        yield door


@pytest_asyncio.fixture
async def desk(
    request: pytest.FixtureRequest,
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Desk]:
    """Loop with people at it, as the module's own ``DESK`` where it has one."""
    kind: type[Desk] = getattr(request.module, "DESK", Desk)
    opened = kind(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await opened.open_for_business()
    yield opened
