"""The versions, the draft and the preview of the taxonomy over the interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.desk import Desk, desk_on
from tests.fakes import ManualClock

PATH = "/v1/taxonomy"
WAITING = {"id": "waiting", "name": "Waiting", "keywords": {"en": ["wait", "queue"]}}
PHONE = {"id": "phone", "name": "Phone", "keywords": {"en": ["phone"]}}


@pytest_asyncio.fixture
async def desk(
    tmp_path: Path, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Desk]:
    async with desk_on(
        f"{tmp_path}/desk.db", clock=clock, keyring=keyring, person_keys=person_keys
    ) as opened:
        yield opened


@pytest_asyncio.fixture
async def api(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with desk.browsing("ada") as client:
        yield client


async def written(api: httpx.AsyncClient, path: str, *themes: Any) -> httpx.Response:
    answer = await api.put(path, json={"themes": list(themes)})
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_draft_is_written_read_and_published(api: httpx.AsyncClient) -> None:
    assert (await api.get(f"{PATH}/draft")).status_code == 404
    draft = await written(api, f"{PATH}/draft", WAITING)
    read = await api.get(f"{PATH}/draft")
    stale = await api.post(f"{PATH}/draft/publish", headers={"If-Match": '"7"'})
    published = await api.post(f"{PATH}/draft/publish", headers={"If-Match": '"1"'})

    assert read.json() == draft.json()
    assert read.json()["based_on"] == 1
    assert read.json()["changed_by"]["name"] == "Ada Admin"
    assert (draft.headers["etag"], stale.status_code) == ('"1"', 412)
    assert (published.status_code, published.headers["etag"]) == (201, '"2"')
    assert (await api.get(PATH)).json()["themes"] == [WAITING]
    assert (await api.get(f"{PATH}/draft")).status_code == 404


async def test_a_draft_that_was_overtaken_is_not_published(api: httpx.AsyncClient) -> None:
    await written(api, f"{PATH}/draft", WAITING)
    await written(api, PATH, PHONE)

    refused = await api.post(f"{PATH}/draft/publish")
    dropped = await api.delete(f"{PATH}/draft")

    assert refused.status_code == 409
    assert (refused.json()["version"], refused.json()["based_on"]) == (2, 1)
    assert dropped.status_code == 204


async def test_versions_say_what_they_changed_and_are_put_back(api: httpx.AsyncClient) -> None:
    await written(api, PATH, WAITING)
    await written(api, PATH, {**WAITING, "name": "Queues"}, PHONE)
    restored = await api.post(f"{PATH}/versions/2/restore")
    first = (await api.get(f"{PATH}/versions?limit=3")).json()
    rest = (await api.get(f"{PATH}/versions?limit=3&cursor={first['next_cursor']}")).json()

    assert restored.status_code == 201
    assert [one["version"] for one in first["data"]] == [4, 3, 2]
    assert [(one["kind"], one["theme"]) for one in first["data"][1]["changes"]] == [
        ("renamed", "waiting"),
        ("added", "phone"),
    ]
    assert [one["kind"] for one in first["data"][0]["changes"]] == ["renamed", "removed"]
    assert first["data"][0]["published_by"]["name"] == "Ada Admin"
    shipped = rest["data"][0]
    assert (shipped["version"], shipped["published_by"], rest["has_more"]) == (1, None, False)
    assert (await api.post(f"{PATH}/versions/9/restore")).status_code == 404


async def test_a_preview_counts_and_writes_nothing(desk: Desk, api: httpx.AsyncClient) -> None:
    await written(api, PATH, WAITING)
    task = await desk.hears("A long queue at the door")
    await desk.hears("Nothing to say about that")
    before = (await api.get(f"{PATH}/versions")).json()

    made = await api.post(
        f"{PATH}/preview", json={"themes": [{"id": "door", "keywords": {"en": ["door"]}}]}
    )

    assert made.status_code == 200
    counted = made.json()
    assert (counted["responses"], counted["changed"]) == (2, 1)
    assert counted["moves"] == [{"lost": "waiting", "gained": "door", "responses": 1}]
    themes = {one["id"]: one for one in counted["themes"]}
    assert themes["door"]["gained_ids"] == [task.response_id]
    assert themes["waiting"]["lost_ids"] == [task.response_id]
    assert "queue" not in made.text
    assert (await api.get(f"{PATH}/versions")).json() == before


async def test_a_large_taxonomy_is_taken_and_one_that_is_too_large_is_not(
    api: httpx.AsyncClient,
) -> None:
    words = [f"keyword number {n}" for n in range(40_000)]
    taken = await api.put(PATH, json={"themes": [{"id": "a", "keywords": {"en": words}}]})
    many = [{"id": f"t{n}", "examples": {"en": words}} for n in range(3)]
    refused = await api.put(PATH, json={"themes": many})

    assert taken.status_code == 200
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/themes/2"]
