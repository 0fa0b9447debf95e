"""What each ready sender delivers of a customer stands in no file, and goes when they go.

The payloads are those of the senders' own documentation; what is personal in them is what their
case says is sealed: words, ids of their own, who it was, and every attribute.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from services.ingest.domain.part import CLEAR
from services.ingest.senders import GENERIC, ready_senders
from shared.db.engine import Engines
from shared.identity.principal import Scope
from shared.sealing import Keyring
from tests.adapters.test_planted_words import shown_in
from tests.fakes import ManualClock
from tests.plumbing import SECRET, create_tables
from tests.senders.folders import Folder, Post, folders
from tests.whole_house import BASE, WholeHouse, open_house

SENDERS: Final = sorted(name for name in ready_senders() if name != GENERIC)
LEAST: Final = 6
"""What is shorter stands in any file by chance."""


@pytest_asyncio.fixture
async def house(tmp_path: Path, clock: ManualClock) -> AsyncIterator[WholeHouse]:
    url = f"sqlite+aiosqlite:///{tmp_path}/planted.db"
    await create_tables(url)
    engines = Engines.open(url)
    try:
        async with open_house(engines, clock, Keyring(SECRET)) as opened:
            yield opened
    finally:
        await engines.close()


def personal_in(document: Mapping[str, Any]) -> set[str]:
    """Return every text of a document that names somebody, or is theirs."""
    clear = {str(document[name]) for name in CLEAR if name in document}
    found: set[str] = set()
    waiting: list[Any] = [
        value for name, value in document.items() if name not in {*CLEAR, "answered_at"}
    ]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and len(one) >= LEAST:
            found.add(one)
    return found - clear


async def call(house: WholeHouse, client: httpx.AsyncClient, path: str, post: Post) -> Any:
    """Call the hook as the sender does; return what became of each answer."""
    folder = folders()[path.split("/")[3]]
    proof = folder.signed("POST", BASE + path, post.body, house.clock.now())
    answer = await client.post(
        path,
        content=post.body,
        headers={**post.headers, **proof, "authorization": ""} if proof else {**post.headers},
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["results"]


async def opened(house: WholeHouse, client: httpx.AsyncClient, folder: Folder) -> str:
    """Set a source up as an operator would, under the sender's name; return its hook."""
    name = folder.sender
    known = await client.put(f"/v1/sources/{name}", json={"sender": name})
    assert known.status_code == 200, known.text
    if folder.secret is not None:
        made = await client.post(f"/v1/sources/{name}/secrets", json={"secret": folder.secret})
        assert made.status_code == 201, made.text
        return f"/v1/hooks/{name}"
    key = await house.key(Scope.RESPONSES_WRITE, source=name)
    return f"/v1/hooks/{name}/{key['authorization'].removeprefix('Bearer ')}"


def readable(folder: Path, words: Sequence[str]) -> dict[str, list[str]]:
    return {word: found for word in words if (found := shown_in(folder, word))}


@pytest.mark.parametrize("sender", SENDERS)
async def test_what_a_sender_says_of_somebody_stands_in_no_file_and_goes_with_them(
    house: WholeHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str], sender: str
) -> None:
    folder = folders()[sender]
    posts = [post for case in folder.cases.values() for post in case]
    # What gives no response names nobody to us: that goes after seven days.
    said = [post for post in posts if post.documents and len(post.documents) == len(post.gives)]
    words = sorted(
        {word for post in posts for one in post.documents for word in personal_in(one)}
    )
    async with house.client() as client:
        path = await opened(house, client, folder)
        taken = [one for post in said for one in await call(house, client, path, post)]
        await house.settle()
        ids = sorted({one["id"] for one in taken if one.get("id")})
        scores = (await client.get("/v1/scores?group_by=touchpoint")).json()
        before = [await shown(client, one) for one in ids]
        samples = await sampled_of(client, sender)
        sampled = [word for word in words if word in samples]
        in_the_open = readable(tmp_path, words)

        for one in ids:
            person = {"kind": "erasure", "person": {"response_id": one}}
            assert (await client.post("/v1/person-requests", json=person)).status_code == 202
            await house.settle()
        cleaned = await sampled_of(client, sender)
        again = [one for post in said for one in await call(house, client, path, post)]
        await house.settle()
        after = [await shown(client, one) for one in ids]
        left = await sampled_of(client, sender)
        tasks = (await client.get("/v1/tasks")).text
        counted = (await client.get("/v1/scores?group_by=touchpoint")).json()

    assert words, "the cases of this sender hold nothing personal"
    assert ids
    assert sampled
    assert any(one["external_id"] for one in before)
    assert in_the_open == {}
    # Whoever was erased is nobody also when the sender repeats itself.
    assert {one["external_id"] for one in after} == {None}
    assert {one["id"] for one in again if one.get("id")} <= set(ids)
    assert counted == scores
    assert [word for word in sampled if word in cleaned] == []
    assert [word for word in sampled if word in left] == []
    assert [word for word in words if word in tasks] == []
    assert readable(tmp_path, words) == {}
    logged = capsys.readouterr().out
    assert "request" in logged
    assert [word for word in words if word in logged] == []


async def sampled_of(client: httpx.AsyncClient, sender: str) -> str:
    """Return all that the samples of a source show to whoever may open them."""
    listed = (await client.get(f"/v1/sources/{sender}/payloads?limit=200")).json()["data"]
    opened = [
        (await client.get(f"/v1/sources/{sender}/payloads/{one['id']}")).json()
        for one in listed
    ]
    return json.dumps(opened, ensure_ascii=False).replace("\\", "")


async def shown(client: httpx.AsyncClient, response_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/v1/responses/{response_id}")).json()
    return found
