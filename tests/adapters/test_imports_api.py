"""How far an import has come, over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from services.ingest import store
from services.ingest.store import Handled
from shared.db.engine import Engines
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.ids import new_id
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.ingest_door import BATCH, Door, open_door


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        opened.rights = await opened.key("crm", *Scope)
        yield opened


async def brought(door: Door, import_id: str, *names: str) -> list[str]:
    """Post responses of an import; return their ids."""
    body = "\n".join(f'{{"external_id":"{name}","score":2}}' for name in names)
    answer = await door.send(
        body, f"{BATCH}?import_id={import_id}", content_type="application/x-ndjson"
    )
    assert answer.status_code == 202
    return [result["id"] for result in answer.json()["results"]]


async def test_an_import_is_counted_until_the_loop_has_handled_it(door: Door) -> None:
    """What waits, what led to a task, and how many themes there are in all of it."""
    import_id = new_id("imp")
    first, second, _ = await brought(door, import_id, "a", "b", "c")
    await brought(door, new_id("imp"), "d")
    await door.post({"external_id": "e", "score": 2})
    expected = {"id": import_id, "source": "crm", "responses": 3, "tasks": 0, "themes": 0}
    assert (await door.get(f"/v1/imports/{import_id}")).json() == {**expected, "waiting": 3}

    async with door.database.transaction() as tx:
        verdicts = [
            Handled(
                response_id=response_id,
                revision=1,
                state="task_open" if task else "no_action",
                reason=None if task else "not_unhappy",
                task_id=task,
                themes=themes,
            )
            for response_id, task, themes in (
                (first, "tsk_1", ["thm_1", "thm_2"]),
                (second, "tsk_1", ["thm_2"]),
            )
        ]
        await store.mark_handled(tx, verdicts)
    stands = (await door.get(f"/v1/imports/{import_id}")).json()
    assert stands == {**expected, "waiting": 1, "tasks": 1, "themes": 2}


async def test_an_import_of_another_source_is_none(door: Door) -> None:
    """Nor is one that brought nothing, or a name that is no import's."""
    import_id = new_id("imp")
    await brought(door, import_id, "a")
    missing = [new_id("imp"), "imp_", "x", f"{import_id}x"]
    assert {(await door.get(f"/v1/imports/{name}")).status_code for name in missing} == {404}

    door.rights = await door.key("another", Scope.RESPONSES_WRITE)
    assert (await door.get(f"/v1/imports/{import_id}")).status_code == 404
