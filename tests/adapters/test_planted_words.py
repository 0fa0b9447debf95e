"""A mark in every member that may be personal: no file of the installation shows one of them.

SQLite's file, its write-ahead log and the log of the embedded bus, which is a table in it, are
read byte by byte, and so is what the program logs. What may stand in the clear is listed, and
is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import func, select

from services.ingest.domain.part import CLEAR, SEALED_TEXTS, TEXTS
from services.ingest.schemas import CustomerIn, ResponseIn
from shared.db.engine import Engines
from shared.db.plumbing import log
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.plumbing import SECRET, create_tables
from tests.whole_house import WholeHouse, open_house

PERSONAL: Final[Mapping[str, Any]] = {
    "external_id": "mark-external@example.org",
    "transaction_id": "mark-transaction-7",
    "comment": "mark-comment and mark-of-words in it",
    "customer": {
        "id": "mark-customer-id",
        "name": "Mark-Name Lindqvist",
        "email": "mark-address@example.org",
        "phone": "+49 30 555777",
        "language": "de-mark",
        "account": "mark-account",
        "contact_owner": "mark-contact-owner",
        "annual_value": {"amount": 987654321, "currency": "EUR"},
        "consent": {"follow_up": True, "news": True},
        "do_not_contact": False,
    },
    "attributes": {"mark-attribute": "mark-value"},
    "mark_unknown_member": "mark-unknown",
}
CLEARLY: Final[Mapping[str, Any]] = {
    str(name): f"clear-{name.replace('_', '-')}" for name in TEXTS if name in CLEAR
}
FACTS: Final = {"measurement": "transactional", "metric": "nps", "score": 2}
MARKS: Final = (
    *("mark-", "Mark-Name", "Lindqvist", "555777", "de-mark", "987654321"),
    *("mark_unknown_member", "mark-note", "mark-refused"),
)
ONCE: Final = {"Idempotency-Key": "mark-key@example.org"}


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


def shown_in(folder: Path, mark: str) -> list[str]:
    """Return the files in which a mark can be read, in either common encoding."""
    spellings = {mark.encode(), mark.encode("utf-16-le"), mark.lower().encode()}
    return [
        path.name
        for path in sorted(folder.iterdir())
        if any(spelling in path.read_bytes() for spelling in spellings)
    ]


async def work_on(client: httpx.AsyncClient, task: str) -> None:
    """Write a mark into everything that staff write about the customer."""
    for act, body in (
        ("contacts", {"mode": "phone", "result": "reached", "note": "mark-note of a call"}),
        ("notes", {"text": "mark-note"}),
        ("agreement", {"agreed": "mark-note agreed", "asked_for": "mark-note asked"}),
        ("steps", {"step": "eliminate"}),
        (
            "resolve",
            {
                "outcome": "solved",
                "root_cause": {"area": "process", "text": "mark-note of the cause"},
                "content": "yes",
                "avoidable": "yes",
            },
        ),
    ):
        answer = await client.post(f"/v1/tasks/{task}/{act}", json=body)
        assert answer.status_code == 200, answer.text


async def test_no_file_shows_what_is_personal(
    house: WholeHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posted: dict[str, Any] = {**FACTS, **PERSONAL, **CLEARLY}
    second = {**posted, "comment": "mark-comment, once more", "transaction_id": "mark-two"}
    refused = {**PERSONAL, "score": "mark-refused"}
    async with house.client() as client:
        first = await client.post("/v1/responses", json=posted, headers=ONCE)
        assert first.status_code == 202, first.text
        assert (await client.post("/v1/responses", json=second)).status_code == 202
        assert (await client.post("/v1/responses", json=refused)).status_code == 422
        assert (await client.post("/v1/hooks/crm", json=refused)).status_code == 202
        nobody = {"external_id": "mark-nobody", "score": 1, "transaction_id": "mark-three"}
        assert (await client.post("/v1/responses/batch", json=[nobody])).status_code == 202
        await house.settle()
        tasks = (await client.get("/v1/tasks")).json()["data"]
        ours = next(task["id"] for task in tasks if task["customer"].get("name"))
        await work_on(client, ours)
        await house.settle()
        seen = (await client.get(f"/v1/responses/{first.json()['id']}")).json()
        task = (await client.get(f"/v1/tasks/{ours}")).text
    async with house.database.reading() as view:
        recorded = await view.scalar(select(func.count()).select_from(log))

    # They were taken in, and whoever may read them does.
    assert seen["external_id"] == PERSONAL["external_id"]
    assert [
        mark for mark in ("Lindqvist", "mark-note", "mark-comment") if mark not in task
    ] == []
    assert recorded >= 5
    assert {mark: found for mark in MARKS if (found := shown_in(tmp_path, mark))} == {}
    logged = capsys.readouterr().out
    assert "consumer.handled" in logged
    assert [mark for mark in MARKS if mark in logged] == []


async def test_what_stands_in_the_clear_is_listed(house: WholeHouse, tmp_path: Path) -> None:
    """The search of the other test does find what is there."""
    async with house.client() as client:
        posted: dict[str, Any] = {**FACTS, **PERSONAL, **CLEARLY}
        assert (await client.post("/v1/responses", json=posted)).status_code == 202
    await house.settle()

    unseen = [text for text in CLEARLY.values() if not shown_in(tmp_path, text)]

    assert unseen == []
    assert {*CLEARLY, *FACTS, "sentiment"} == set(CLEAR)


@pytest.mark.parametrize(
    ("document", "marked", "plain"),
    [
        (ResponseIn, PERSONAL, {*CLEAR, "answered_at"}),
        (CustomerIn, PERSONAL["customer"], set()),
    ],
)
def test_every_member_is_marked_or_stands_in_the_clear(
    document: type, marked: Mapping[str, Any], plain: set[str]
) -> None:
    """A new member of a response is sealed, or somebody says here that it is not."""
    assert set(document.__annotations__) - plain == {
        name for name in marked if name != "mark_unknown_member"
    }
    assert set(CLEAR).isdisjoint(SEALED_TEXTS)
