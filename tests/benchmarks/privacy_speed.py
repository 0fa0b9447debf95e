"""How fast it is said what will be forgotten, and how long a search through everything takes.

Run as ``python -m tests.benchmarks.privacy_speed``. The outlook is asked of 5,000 responses and
of 200,000, of which equally many are over or soon will be: it may not take longer because
others are young. A search opens every document, so it takes longer with more of them; its
slices do not, and neither does its memory grow.
"""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from services.ingest.domain.persons import Addresses
from services.ingest.handlers.persons import retention
from services.ingest.handlers.persons.searching import search
from services.ingest.service import Ingest
from services.ingest.tables import responses
from shared.db.engine import Engines
from shared.ids import new_id
from shared.logs import set_up
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.plumbing import SECRET, create_tables
from tests.whole_house import WholeHouse, open_house

SMALL, LARGE = 5_000, 200_000
OVER, SOON, BUSY = 1_000, 500, 500
"""Responses whose time is over, will be within 30 days, or whose open task waits."""
SEALED = 6_000
"""Responses that are really sealed, and opened by the search."""
ROUNDS = 7
PROMISED = 1.5
"""Beyond this ratio of the outlooks, or of late slices to early ones, the run fails."""
MOST_GROWN = 64
"""Megabytes that a search may take beside what was there."""
_AT_ONCE = 5_000


def ages(number: int, now: datetime) -> list[datetime]:
    """Return when responses were accepted: few long ago, the others within two years."""
    old = [now - timedelta(days=4 * 365, minutes=n) for n in range(OVER)]
    soon = [now - timedelta(days=3 * 365 - 10, minutes=n) for n in range(SOON)]
    young = [now - timedelta(minutes=n * 5) for n in range(number - OVER - SOON)]
    return [*old, *soon, *young]


async def one_row(house: WholeHouse) -> dict[str, Any]:
    """Have one response accepted; return its row."""
    async with house.client() as client:
        posted = {"external_id": "A-0", "score": 9, "customer": {"id": "C-0"}}
        assert (await client.post("/v1/responses", json=posted)).status_code == 202
    await house.settle()
    async with house.database.reading() as view:
        row = await view.first(select(responses))
    assert row is not None
    return dict(row._mapping)


async def fill(house: WholeHouse, number: int) -> None:
    """Add so many responses as rows like the first one."""
    like, now = await one_row(house), house.clock.now()
    for first in range(0, number, _AT_ONCE):
        rows = [
            {
                **like,
                "id": new_id("rsp"),
                "natural_key": f"key-{first + n}",
                "person_ref": f"cus_{first + n}",
                "event_id": new_id("evt"),
                "received_at": at,
                "state": "task_open" if first + n < BUSY else "no_action",
            }
            for n, at in enumerate(ages(number, now)[first : first + _AT_ONCE])
        ]
        async with house.database.transaction() as tx:
            await tx.execute(insert(responses), rows)


async def outlooks(houses: Sequence[WholeHouse]) -> list[float]:
    """Return the median milliseconds of an outlook in each house, asked in turn."""
    took: list[list[float]] = [[] for _ in houses]
    for _ in range(ROUNDS):
        for house, times in zip(houses, took, strict=True):
            began = time.perf_counter()
            async with house.database.reading() as view:
                seen = await retention.outlook(view, now=house.clock.now())
            times.append((time.perf_counter() - began) * 1_000)
            assert (seen.due.responses, seen.waiting) == (OVER - BUSY, BUSY)
            assert seen.soon.responses == OVER - BUSY + SOON
    return [statistics.median(times) for times in took]


async def searched(house: WholeHouse, number: int) -> tuple[list[float], float]:
    """Post real responses, search them all; return milliseconds a slice, megabytes grown."""
    async with house.client() as client:
        for first in range(0, number, 500):
            batch = [
                {
                    "external_id": f"B-{first + n}",
                    "score": 9,
                    "comment": "Everything was fine, and the staff were friendly. " * 3,
                    "customer": {"id": f"D-{first + n}", "email": f"d{first + n}@example.org"},
                }
                for n in range(500)
            ]
            sent = await client.post("/v1/responses/batch", json=batch)
            assert sent.status_code == 202, sent.text
    (ingest,) = [one.resources for one in house.services if one.name == "ingest"]
    assert isinstance(ingest, Ingest)
    before = _peak()
    took: list[float] = []
    cursor: str | None = ""
    found = 0
    addresses = Addresses([f"d{number - 1}@example.org"])
    while cursor is not None:
        began = time.perf_counter()
        async with ingest.database.reading() as view:
            findings, cursor = await search(
                view, ingest.person_keys, addresses, after=cursor, by_address=True
            )
        took.append((time.perf_counter() - began) * 1_000)
        found += len(findings.refs)
    assert found == 1
    return took, _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


async def measure(small: int, large: int, sealed: int) -> dict[str, float]:
    """Return what was measured."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        houses = []
        for number in (small, large, 0):
            url = f"sqlite+aiosqlite:///{folder}/{number}.db"
            await create_tables(url)
            engines = Engines.open(url)
            stack.push_async_callback(engines.close)
            house = await stack.enter_async_context(
                open_house(engines, ManualClock(), Keyring(SECRET))
            )
            houses.append(house)
            if number:
                await fill(house, number)
        few, many = await outlooks(houses[:2])
        slices, grown = await searched(houses[2], sealed)
    third = len(slices) // 3
    early, late = statistics.median(slices[:third]), statistics.median(slices[-third:])
    return {
        "outlook_ms_small": round(few, 2),
        "outlook_ms_large": round(many, 2),
        "outlook_ratio": round(many / few, 2),
        "search_responses_per_second": round(sealed / sum(slices) * 1_000),
        "slice_ratio": round(late / early, 2),
        "slice_ms_worst": round(max(slices), 1),
        "search_grew_mb": round(grown, 1),
    }


def main() -> int:
    """Measure, print, and tell whether the promises are kept."""
    set_up(form="json", level="error")
    found = asyncio.run(measure(SMALL, LARGE, SEALED))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    kept = (
        found["outlook_ratio"] <= PROMISED
        and found["slice_ratio"] <= PROMISED
        and found["search_grew_mb"] <= MOST_GROWN
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
