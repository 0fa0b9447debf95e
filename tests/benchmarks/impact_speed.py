"""How fast themes are read with 200,000 answers behind them, beside 5,000.

Run as ``python -m tests.benchmarks.impact_speed``. Both installations stand side by side on
SQLite, have the same touchpoints, segments, products, sources and themes, and are asked in turn
over the default twelve weeks; the medians and their ratio are printed. The answers lie within
two such periods, so that all of them count.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from services.loop.responses.domain import Response
from services.loop.responses.store import add_all
from services.loop.themes.domain import Mention, starter_taxonomy
from services.loop.themes.domain.counts import moves
from services.loop.themes.store import add_mentions, move_rollups
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.logs import set_up
from shared.sealing import Keyring
from shared.stats.categories import category_of
from tests.desk import Desk, desk_on
from tests.fakes import ManualClock
from tests.loop_door import opened

SMALL, LARGE = 5_000, 200_000
ROUNDS = 9
PROMISED = 4.0
"""Beyond this ratio the run fails.

Forty times the answers fill more days, places and themes at once; once each day has all of
them, nothing grows any more. The second view reads 5,000 answers at most.
"""
_POLL = 5_000
_DAYS = 168
PATHS = (
    "/v1/themes",
    "/v1/themes?sort=cost&limit=10",
    "/v1/themes?touchpoint=place-1",
    "/v1/themes/waiting",
    "/v1/theme-matrix",
    "/v1/theme-impacts",
)


async def fill(desk: Desk, answers: int) -> None:
    """Store answers with their themes and sums, as polls would, without sealing anything."""
    chance = random.Random(1)
    themes = [theme.id for theme in starter_taxonomy().themes]
    weights = [1 / rank for rank in range(1, len(themes) + 1)]
    now = desk.clock.now()
    for first in range(0, answers, _POLL):
        part = [
            _response(chance, f"rsp_{n:026}", now - timedelta(days=_DAYS * chance.random()))
            for n in range(first, min(first + _POLL, answers))
        ]
        found = {
            one.id: sorted(set(chance.choices(themes, weights, k=chance.randrange(3))))
            for one in part
        }
        async with desk.database.transaction() as tx:
            await add_all(tx, part)
            await add_mentions(
                tx,
                {
                    response_id: [
                        Mention(theme_id=theme, score=1.0, evidence=None) for theme in ids
                    ]
                    for response_id, ids in found.items()
                },
                answered_at={one.id: one.answered_at for one in part},
                version=1,
            )
            await move_rollups(tx, moves((one, found[one.id]) for one in part))


async def seconds_of(client: httpx.AsyncClient, path: str, key: dict[str, str]) -> float:
    """Return how long one answer takes."""
    began = time.perf_counter()
    answer = await client.get(path, headers=key)
    took = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    return took


async def measure(small: int, large: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians of both installations in milliseconds, and their ratio, by path."""
    async with AsyncExitStack() as stack:
        doors = []
        for n, answers in enumerate((small, large)):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            keyring = Keyring("a secret for tests, long enough to be taken")
            desk = await stack.enter_async_context(
                desk_on(
                    str(folder / f"themes-{n}.db"),
                    clock=ManualClock(),
                    keyring=keyring,
                    person_keys=PersonKeys(keyring),
                )
            )
            await fill(desk, answers)
            door = await stack.enter_async_context(opened(desk, desk.database))
            doors.append((door.client, await door.key(Scope.THEMES_READ)))
        found = {}
        for path in PATHS:
            runs: list[list[float]] = [[], []]
            for each in range(rounds + 1):
                for side, (client, key) in enumerate(doors):
                    took = await seconds_of(client, path, key)
                    if each:  # the first one fills caches
                        runs[side].append(took)
            few, many = (statistics.median(side) * 1000 for side in runs)
            found[path] = {
                "few_ms": round(few, 1),
                "many_ms": round(many, 1),
                "ratio": round(many / few, 2),
            }
    return found


def _response(chance: random.Random, response_id: str, answered_at: datetime) -> Response:
    score = chance.choice((0, 2, 5, 7, 8, 9, 10))
    return Response(
        id=response_id,
        revision=1,
        source=chance.choice(("survey", "complaints")),
        measurement="transactional",
        metric="nps",
        score=score,
        category=category_of("nps", score),
        sentiment=None,
        language="en",
        touchpoint=f"place-{chance.randrange(4)}",
        segment=f"segment-{chance.randrange(2)}",
        product=None,
        channel=None,
        reason=None,
        emotion=None,
        question_version=None,
        answered_at=answered_at,
        received_at=answered_at,
        as_new=False,
        person_ref=response_id,
        has_comment=True,
        sealed_person=None,
    )


def main() -> int:
    set_up(form="text", level="error")
    found = asyncio.run(measure(SMALL, LARGE, ROUNDS))
    json.dump(found, sys.stdout, indent=2)
    print()
    return 1 if any(one["ratio"] > PROMISED for one in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
