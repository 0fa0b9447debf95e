"""Responses of before, whose sender's words stood in the clear: found as ever, then sealed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from services.ingest import store
from services.ingest.handlers import external_ids_of
from services.ingest.jobs import EarlierWorker
from services.ingest.tables import responses, revisions
from services.loop.jobs import IndexWorker
from services.loop.responses import tables as loop_responses
from services.loop.tasks import tables as loop_tasks
from shared.db.transaction import Database
from shared.identity.erasure import FORGOTTEN, erase_person
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring, open_document, seal_document
from tests.fakes import ManualClock
from tests.handlers.intake import Intake
from tests.handlers.test_record_responses import Recorder

ORDER = "order-of-maya@example.org"
ANSWER: dict[str, Any] = {"score": 2, "comment": "Late.", "transaction_id": "T-4711"}


class Former(Recorder):
    """A recorder over rows as the version before had written them."""

    async def as_before(self, response_id: str, external_id: str) -> None:
        """Put the sender's words back where they stood."""
        found = await self.stored(response_id)
        document = await self.personal(response_id)
        words = {name: document.pop(name, None) for name in ("external_id", "transaction_id")}
        async with self.database.transaction() as tx:
            keys = await self.keys.for_reading(tx, [found.person_ref])
            token = seal_document(keys[found.person_ref], document, context=response_id)
            await tx.execute(
                update(responses)
                .where(responses.c.id == response_id)
                .values(
                    natural_key=external_id,
                    keyed=False,
                    transaction_id=words["transaction_id"],
                    sealed_person=token if any(document.values()) else None,
                )
            )
            for row in await tx.all(select(revisions)):
                members = {**row.members, "transaction_id": words["transaction_id"]}
                await tx.execute(
                    update(revisions)
                    .where(revisions.c.revision == row.revision)
                    .values(members=members)
                )

    async def seal(self) -> None:
        """Let the worker do all it has to do."""
        worker = EarlierWorker(self.ingest)
        while await worker.step():
            pass

    async def in_the_clear(self) -> str:
        """Return all that a reader of the tables finds."""
        async with self.database.reading() as view:
            rows = [*await view.all(select(responses)), *await view.all(select(revisions))]
        return " ".join(str(row) for row in rows)

    async def named(self, external_id: str) -> list[str | None]:
        """Return under what name a search for a sender's id finds responses."""
        key = external_id, store.natural_key_of(self.keyring, external_id)
        async with self.database.reading() as view:
            found = await store.list_responses(
                view, state=None, source=None, external_id=key, before=None, limit=9
            )
            return list((await external_ids_of(view, self.keys, found)).values())


@pytest.fixture
def former(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Former:
    """The front door of an installation that was just brought up to date."""
    return Former(database_of("ingest"), clock, keyring, person_keys)


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_response_of_before_is_found_by_its_senders_id(
    former: Former, *, sealed: bool
) -> None:
    first = await former.post(ORDER, **ANSWER, customer={"id": "C-1"})
    await former.as_before(first.id, ORDER)
    assert ORDER in await former.in_the_clear()
    if sealed:
        await former.seal()

    again = await former.post(ORDER, **ANSWER, customer={"id": "C-1"})
    named = await former.named(ORDER)
    former.clock.advance(timedelta(minutes=1))
    revised = await former.post(ORDER, score=9)

    assert (again.id, again.duplicate) == (first.id, True)
    assert named == [ORDER]
    assert (revised.id, revised.revision) == (first.id, 2)
    document = await former.personal(first.id)
    assert (document["external_id"], document["transaction_id"]) == (ORDER, "T-4711")
    assert document["comment"] == "Late."
    left = await former.in_the_clear()
    assert (ORDER in left, "T-4711" in left) == (False, False)


async def test_the_worker_seals_rows_and_their_parts(former: Former) -> None:
    first = await former.post(ORDER, **ANSWER)
    former.clock.advance(timedelta(minutes=1))
    await former.post(ORDER, score=9)
    bare = await former.post("bare-1", score=7)
    await former.as_before(first.id, ORDER)
    await former.as_before(bare.id, "bare-1")

    await former.seal()

    left = await former.in_the_clear()
    assert [word for word in (ORDER, "T-4711", "bare-1") if word in left] == []
    assert (await former.personal(first.id))["transaction_id"] == "T-4711"
    assert await former.named("bare-1") == ["bare-1"]
    assert (await former.post("bare-1", score=7)).duplicate


async def test_of_the_erased_nothing_is_left_and_a_late_duplicate_is_one(
    former: Former,
) -> None:
    customer = {"id": "C-1"}
    first = await former.post(ORDER, **ANSWER, customer=customer)
    await former.as_before(first.id, ORDER)
    async with former.database.transaction() as tx:
        await erase_person(tx, former.keys.ref("crm", "C-1"), former.clock.now())

    await former.seal()
    again = await former.post(ORDER, **ANSWER, customer=customer)

    left = await former.in_the_clear()
    assert [word for word in (ORDER, "T-4711") if word in left] == []
    assert await former.named(ORDER) == [None]
    assert (again.id, again.duplicate) == (first.id, True)


async def test_what_looks_like_a_digest_is_none(former: Former) -> None:
    """Whoever reads the database learns no id under which he could meet a response."""
    first = await former.post(ORDER, **ANSWER)
    digest = (await former.stored(first.id)).natural_key

    other = await former.post(digest, **ANSWER)

    assert other.id != first.id
    assert not other.duplicate


async def test_loop_seals_the_transactions_of_before(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> None:
    room = Intake(database_of("loop"), clock, keyring, person_keys)
    await room.prepare()
    told, bare, gone = await room.responses(
        [{"comment": "Late."}, {"response_id": "rsp_bare"}, {"response_id": "rsp_gone"}]
    )
    await room.take_in(told, bare, gone)
    table, tasks = loop_responses.responses, loop_tasks.tasks
    async with room.database.transaction() as tx:
        await tx.execute(update(table).values(transaction_id="T-4711"))
        for one in (table, tasks):
            mine = one.c.id if one is table else one.c.response_id
            for response_id, token in (("rsp_bare", None), ("rsp_gone", FORGOTTEN)):
                await tx.execute(
                    update(one).where(mine == response_id).values(sealed_person=token)
                )

    worker = IndexWorker(room.loop)
    while await worker.step():
        pass

    async with room.database.reading() as view:
        rows = {row.id: row for row in await view.all(select(table))}
        documents = {
            row.response_id: row.sealed_person for row in await view.all(select(tasks))
        }
        refs = [row.person_ref for row in rows.values()]
        keys = await person_keys.for_reading(view, refs)
    assert {row.transaction_id for row in rows.values()} == {None}
    assert documents == {one: row.sealed_person for one, row in rows.items()}
    assert documents.pop("rsp_gone") == FORGOTTEN
    for response_id, token in documents.items():
        opened = open_document(keys[rows[response_id].person_ref], token, context=response_id)
        assert opened["transaction_id"] == "T-4711"
        assert opened.get("comment") == (None if response_id == "rsp_bare" else "Late.")
