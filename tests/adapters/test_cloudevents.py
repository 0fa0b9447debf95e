"""CloudEvents at the doors of responses, on both databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.ingest.domain.cloudevents import BATCH as EVENTS
from services.ingest.domain.cloudevents import STRUCTURED, TYPE
from shared.db.engine import Engines
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.hook_door import counted, recorded
from tests.ingest_door import BATCH, Door, open_door


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        yield opened


def event(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": TYPE,
        "source": "/crm",
        "id": "evt-1",
        "time": "2026-03-01T09:30:00+01:00",
        "data": {"score": 3, "comment": "Slow."},
        **changes,
    }


async def test_an_event_is_a_response_whichever_mode_it_comes_in(door: Door) -> None:
    """Both say the same, so the second one is a duplicate of the first."""
    headers = {f"ce_{name}": value for name, value in event().items() if name != "data"}

    structured = await door.send(
        json.dumps(event()), content_type=f"{STRUCTURED}; charset=utf-8"
    )
    binary = await door.post(event()["data"], **headers)

    assert structured.status_code == binary.status_code == 202
    assert binary.json() == {**structured.json(), "duplicate": True}
    (row,) = await recorded(door, "crm")
    assert (row["external_id"], row["score"]) == ("evt-1", 3)
    assert row["answered_at"].isoformat() == "2026-03-01T08:30:00+00:00"


async def test_a_batch_of_events_has_a_result_for_each(door: Door) -> None:
    events = [
        event(id="A"),
        event(id="B", type="other.type"),
        event(id="C", data={"score": 11}),
        event(id="D", datacontenttype="text/xml"),
        "no event",
    ]

    answer = await door.send(json.dumps(events), BATCH, content_type=EVENTS)

    assert answer.status_code == 202
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 4)
    errors = [one["error"] for one in answer.json()["results"][1:]]
    assert [error["status"] for error in errors] == [422, 422, 415, 422]
    assert errors[0]["errors"][0]["pointer"] == "/type"
    assert [row["external_id"] for row in await recorded(door, "crm")] == ["A"]


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"type": "com.example.other"}, 422, "/type"),
        ({"specversion": "0.3"}, 422, "/specversion"),
        ({"id": None}, 422, "/id"),
        ({"data": {"score": 99}}, 422, "/data/score"),
        ({"data": [1]}, 422, "/data"),
        ({"data_base64": "e30="}, 422, "/data_base64"),
        ({"datacontenttype": "application/xml"}, 415, None),
    ],
)
async def test_an_event_that_cannot_be_used_is_refused_by_name(
    door: Door, changes: dict[str, Any], status: int, pointer: str | None
) -> None:
    answer = await door.send(json.dumps(event(**changes)), content_type=STRUCTURED)

    assert answer.status_code == status
    if pointer is not None:
        assert pointer in [one["pointer"] for one in answer.json()["errors"]]
    assert await recorded(door, "crm") == []
    assert sum((await counted(door, "crm")).values()) == 1


async def test_half_an_envelope_is_no_response(door: Door) -> None:
    answer = await door.post({"score": 3}, ce_type=TYPE, ce_id="x")

    assert answer.status_code == 422
    assert {one["pointer"] for one in answer.json()["errors"]} == {"/specversion", "/source"}


async def test_events_in_other_formats_are_not_taken(door: Door) -> None:
    for kind in ("application/cloudevents+xml", "application/cloudevents-batch+json"):
        answer = await door.send(json.dumps(event()), content_type=kind)
        assert answer.status_code == 415
