"""The process dies while a week is judged: what rises is told and proposed once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, time, timedelta

from services.loop.themes.domain.risers import SETTLED, monday_of
from tests.faults.test_fault_points import WHILE_JUDGING, die, embedded
from tests.infra.processes import wait_until
from tests.journeys.installation import Embedded

__all__ = ["embedded"]

LATE = {"themes": [{"id": "late", "name": "Late", "keywords": {"en": ["late"]}}]}
WEEKLY = (6, 5, 7, 6, 5, 6, 7, 6, 24)
CALM = 10


def test_dying_twice_while_a_week_is_judged_tells_and_proposes_once(
    embedded: Embedded,
) -> None:
    embedded.start()
    # Whatever day it is while this runs, the last of these weeks is over.
    monday = datetime.combine(monday_of((datetime.now(UTC) - SETTLED).date()), time(), UTC)
    with embedded.client() as client:
        client.put("/v1/taxonomy", json=LATE)
        answers = [
            {
                "external_id": f"A-{ago}-{n}",
                "score": 2,
                "comment": "late again" if n < number else "nothing to say",
                "answered_at": (monday - timedelta(weeks=ago, days=-2)).isoformat(),
            }
            for ago, number in enumerate(reversed(WEEKLY), start=1)
            for n in range(number + CALM)
        ]
        assert client.post("/v1/responses/batch", json=answers).status_code == 202
        wait_until(
            lambda: client.get("/v1/themes").json()["comments"] == len(answers),
            what="the comments to be counted",
            seconds=60,
        )
    embedded.kill("all")

    for point in WHILE_JUDGING:
        for _ in range(2):
            die(embedded, point, 1)

    embedded.start()
    with embedded.client() as client:
        wait_until(
            lambda: _count(embedded, "notify_inbox", "event_id IN (" + _RISING + ")") == 1,
            what="the rise to be told",
            seconds=60,
        )
        (item,) = client.get("/v1/outer-items").json()["data"]
        (verdict,) = client.get("/v1/risers").json()["data"]
    assert (item["theme_id"], item["state"], item["version"]) == ("late", "proposed", 1)
    assert (verdict["verdict"], verdict["sharp"], verdict["mentions"]) == ("beyond", True, 24)
    assert _count(embedded, "loop_outbox", "event_id IN (" + _RISING + ")") == 1
    assert _count(embedded, "loop_risers") == _count(embedded, "loop_riser_weeks") == 1


_RISING = "SELECT event_id FROM loop_outbox WHERE topic = 'closed-loop.outer-loop'"


def _count(installation: Embedded, table: str, condition: str = "1") -> int:
    with closing(sqlite3.connect(f"file:{installation.database}?mode=ro", uri=True)) as view:
        query = f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - of this file
        (found,) = view.execute(query).fetchone()
        return int(found)
