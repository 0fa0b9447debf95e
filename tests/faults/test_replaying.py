"""The process dies while history is read again: it goes on where it was, and counts right."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from tests.faults.test_fault_points import ERRANDS, WHILE_REPLAYING, die, embedded
from tests.infra.processes import wait_until
from tests.journeys.installation import Embedded

__all__ = ["embedded"]

COMMENTS = 450
"""More than two slices hold."""
QUEUE = {"themes": [{"id": "queue", "keywords": {"en": ["queue"]}}]}
DOOR = {"themes": [{"id": "door", "keywords": {"en": ["door"]}}]}


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a replay as often as it takes."""

    def ask(installation: Embedded) -> None:
        with installation.client() as client:
            client.post("/v1/taxonomy/replays")

    monkeypatch.setitem(ERRANDS, "replay.slice", ask)


def test_dying_twice_while_history_is_read_again_changes_nothing_about_the_end(
    embedded: Embedded, asking: None
) -> None:
    embedded.start()
    with embedded.client() as client:
        client.put("/v1/taxonomy", json=QUEUE)
        answers = [
            {"external_id": f"A-{n}", "score": n % 11, "comment": "a queue at the door"}
            for n in range(COMMENTS)
        ]
        assert client.post("/v1/responses/batch", json=answers).status_code == 202
        wait_until(
            lambda: client.get("/v1/themes").json()["comments"] == COMMENTS,
            what="the comments to be counted",
            seconds=60,
        )
        client.put("/v1/taxonomy", json=DOOR)
    embedded.kill("all")
    # As an earlier version had left it: counted, and not said what of.
    with closing(sqlite3.connect(embedded.database)) as database, database:
        database.execute(
            "UPDATE loop_theme_rollups SET measurement = 'unknown', mentions = mentions + 1"
        )

    for point in WHILE_REPLAYING:
        for arrival in (1, 2) if point == "replay.slice" else (1, 1):
            die(embedded, point, arrival)

    embedded.start()
    with embedded.client() as client:
        client.post("/v1/taxonomy/replays")
        wait_until(
            lambda: client.get("/v1/taxonomy/replays").json()["data"][0]["state"] == "done",
            what="the end of the replay",
            seconds=60,
        )
        (replay, *others) = client.get("/v1/taxonomy/replays").json()["data"]
        themes = client.get("/v1/themes").json()
    assert (replay["done"], replay["total"]) == (COMMENTS, COMMENTS)
    assert all(one["state"] == "done" for one in others)
    counted = {one["id"]: one["mentions"] for one in themes["data"] if one["mentions"]}
    assert counted == {"door": COMMENTS}
    assert themes["comments"] == COMMENTS
    with closing(sqlite3.connect(f"file:{embedded.database}?mode=ro", uri=True)) as view:
        found = Counter(view.execute("SELECT theme_id, taxonomy_version FROM loop_mentions"))
        (unsaid,) = view.execute(
            "SELECT count(*) FROM loop_theme_rollups WHERE measurement = 'unknown'"
        ).fetchone()
    assert set(found) == {("door", replay["taxonomy_version"])}
    assert found.total() == COMMENTS
    assert unsaid == 0
