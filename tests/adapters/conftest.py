"""The small service of ``web_house``, served without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.adapters.web_house import House, build


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
