"""Recording responses on both databases: new, duplicate, revised, promised, announced again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from services.ingest import store
from services.ingest.handlers import (
    Ingest,
    Namespaces,
    Outcome,
    Recorded,
    RecordResponse,
    count_many,
    record_many,
    record_responses,
)
from services.ingest.jobs import Upkeep, list_unhandled
from services.ingest.listeners import hear
from services.ingest.schemas import understand
from services.ingest.tables import PLUMBING, responses, revisions
from shared.bus.consumer import Arrived
from shared.db.group import GroupCommit
from shared.db.room import Room
from shared.db.transaction import Database
from shared.errors import Invalid
from shared.events.envelope import Envelope, decode, wrap
from shared.events.loop import ResponseHandled
from shared.identity.erasure import erase_person
from shared.identity.person_keys import PersonKeys
from shared.identity.tables import person_keys as person_key_rows
from shared.sealing import Keyring, open_document
from tests.fakes import ManualClock

MINUTE = timedelta(minutes=1)


class Recorder:
    """Ingest without its doors."""

    def __init__(
        self, database: Database, clock: ManualClock, keyring: Keyring, keys: PersonKeys
    ) -> None:
        self.database = database
        self.clock = clock
        self.keyring = keyring
        self.keys = keys
        self.ingest = Ingest(
            clock=clock,
            database=database,
            keyring=keyring,
            person_keys=keys,
            namespaces=Namespaces(database, clock),
            record=GroupCommit(database, self._record),
            count=GroupCommit(database, self._count),
            room=Room(clock),
        )

    async def _count(self, tx, counted) -> Sequence[None]:
        return await count_many(tx, counted, now=self.clock.now(), keyring=self.keyring)

    async def _record(self, tx, commands) -> list[Outcome]:
        return await record_responses(
            tx,
            commands,
            now=self.clock.now(),
            keyring=self.keyring,
            person_keys=self.keys,
        )

    def command(
        self,
        external_id: str = "A-1",
        *,
        source: str = "crm",
        key: str | None = None,
        namespace: str | None = None,
        as_new: bool = False,
        **members: object,
    ) -> RecordResponse:
        read = understand({"external_id": external_id, **members}, now=self.clock.now())
        return RecordResponse(
            source=source,
            external_id=read.external_id,
            part=read.part,
            idempotency_key=key,
            namespace=namespace,
            as_new=as_new,
        )

    async def post(self, external_id: str = "A-1", **members) -> Recorded:
        (outcome,) = await record_many(self.ingest, [self.command(external_id, **members)])
        assert isinstance(outcome, Recorded), outcome
        return outcome

    async def stored(self, response_id: str) -> store.StoredResponse:
        async with self.database.reading() as view:
            found = await store.find_response(view, response_id)
        assert found is not None
        return found

    async def personal(self, response_id: str) -> dict[str, Any]:
        found = await self.stored(response_id)
        async with self.database.reading() as view:
            keys = await self.keys.for_reading(view, [found.person_ref])
        assert found.sealed_person is not None
        return open_document(keys[found.person_ref], found.sealed_person, context=response_id)

    async def count(self, table) -> int:
        async with self.database.reading() as view:
            number: int = await view.scalar(select(func.count()).select_from(table))
        return number

    async def announced(self) -> list[Envelope]:
        async with self.database.reading() as view:
            rows = await view.all(select(PLUMBING.outbox).order_by(PLUMBING.outbox.c.seq))
        return [decode(bytes(row.body)) for row in rows]

    async def hear(self, response_id: str, revision: int, **members) -> None:
        event = ResponseHandled(
            response_id=response_id, revision=revision, **{"state": "task_open", **members}
        )
        envelope = wrap(event, event_id="evt_1", at=self.clock.now())
        async with self.database.transaction() as tx:
            await hear(tx, [Arrived(envelope=envelope, event=event, key="k")], self.clock.now())


@pytest.fixture
def recorder(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Recorder:
    return Recorder(database_of("ingest"), clock, keyring, person_keys)


async def test_a_response_is_stored_sealed_and_announced_once(recorder: Recorder) -> None:
    recorded = await recorder.post(
        score=2,
        comment="Forty minutes.",
        touchpoint="phone",
        customer={"id": "C-1", "email": "none", "name": "Anna"},
        wave=3,
    )
    assert recorded == Recorded(id=recorded.id, duplicate=False, revision=1)

    (envelope,) = await recorder.announced()
    data = envelope.data
    assert envelope.type == "response.received.v1"
    assert envelope.subject == recorded.id
    assert {name: data[name] for name in ("score", "metric", "measurement", "revision")} == {
        "score": 2,
        "metric": "nps",
        "measurement": "transactional",
        "revision": 1,
    }
    assert data["person_ref"] == recorder.keys.ref("crm", "C-1")
    assert data["has_comment"] is True
    stored = await recorder.stored(recorded.id)
    assert data["person"] == stored.sealed_person
    assert await recorder.personal(recorded.id) == {
        "customer": {"id": "C-1", "email": "none", "name": "Anna"},
        "comment": "Forty minutes.",
        "attributes": {"wave": 3},
        "external_id": "A-1",
        "unusable": ["email"],
    }
    assert "Anna" not in json.dumps(data)
    assert "Forty" not in json.dumps(data)


async def test_the_same_meaning_again_changes_nothing(recorder: Recorder) -> None:
    first = await recorder.post(score=2, answered_at="2026-03-01T10:00:00Z")
    again = await recorder.post(answered_at="2026-03-01T11:00:00.0+01:00", score=2)
    assert again == Recorded(id=first.id, duplicate=True, revision=1)
    assert await recorder.count(responses) == 1
    assert await recorder.count(revisions) == 0
    assert len(await recorder.announced()) == 1


async def test_another_meaning_is_a_revision_and_the_first_one_stays_a_duplicate(
    recorder: Recorder,
) -> None:
    first = await recorder.post(score=2)
    recorder.clock.advance(MINUTE)
    second = await recorder.post(score=9)
    assert second == Recorded(id=first.id, duplicate=False, revision=2)
    assert await recorder.post(score=2) == Recorded(id=first.id, duplicate=True, revision=1)
    assert await recorder.post(score=9) == Recorded(id=first.id, duplicate=True, revision=2)
    assert (await recorder.stored(first.id)).clear["score"] == 9
    assert await recorder.count(revisions) == 2
    assert [e.type for e in await recorder.announced()] == [
        "response.received.v1",
        "response.revised.v1",
    ]


async def test_an_older_answer_is_stored_and_not_announced(recorder: Recorder) -> None:
    first = await recorder.post(score=9, answered_at="2026-03-01T10:00:00Z")
    loser = await recorder.post(score=2, answered_at="2026-02-01T10:00:00Z")
    assert loser.revision == 2
    stored = await recorder.stored(first.id)
    assert (stored.clear["score"], stored.revision, stored.announced) == (9, 2, 1)
    assert len(await recorder.announced()) == 1


async def test_a_later_part_adds_what_the_first_one_lacked(recorder: Recorder) -> None:
    first = await recorder.post(score=2, customer={"id": "C-1"})
    recorder.clock.advance(MINUTE)
    await recorder.post(comment="Forty minutes.", touchpoint="phone")
    stored = await recorder.stored(first.id)
    assert stored.clear == {"score": 2, "touchpoint": "phone"}
    assert await recorder.personal(first.id) == {
        "customer": {"id": "C-1"},
        "comment": "Forty minutes.",
        "attributes": {},
        "external_id": "A-1",
    }
    assert stored.received_at == recorder.clock.now() - MINUTE


async def test_a_person_who_is_named_later_becomes_the_key(recorder: Recorder) -> None:
    first = await recorder.post(score=2, comment="Forty minutes.")
    assert (await recorder.stored(first.id)).person_ref == first.id
    recorder.clock.advance(MINUTE)
    await recorder.post(customer={"email": " A@b.example"})
    assert (await recorder.stored(first.id)).person_ref == recorder.keys.ref(
        "crm", "a@b.example"
    )
    assert (await recorder.personal(first.id))["comment"] == "Forty minutes."


async def test_persons_of_a_shared_namespace_are_one(recorder: Recorder) -> None:
    one = await recorder.post("1", score=2, customer={"id": "C"}, source="a", namespace="n")
    two = await recorder.post("1", score=2, customer={"id": "C"}, source="b", namespace="n")
    three = await recorder.post("1", score=2, customer={"id": "C"}, source="c")
    refs = [(await recorder.stored(each.id)).person_ref for each in (one, two, three)]
    assert refs[0] == refs[1] != refs[2]


async def test_a_whole_batch_is_judged_one_by_one(recorder: Recorder) -> None:
    known = await recorder.post("K", score=5)
    outcomes = await record_many(
        recorder.ingest,
        [
            recorder.command("A", score=1),
            recorder.command("K", score=5),
            recorder.command("A", score=1),
            recorder.command("B", comment="no score"),
            recorder.command("A", score=3, comment="again"),
            recorder.command("K", score=6),
            recorder.command("A", score=1, source="other"),
        ],
    )
    shown = [
        (each.duplicate, each.revision) if isinstance(each, Recorded) else type(each)
        for each in outcomes
    ]
    assert shown == [(False, 1), (True, 1), (True, 1), Invalid, (False, 2), (False, 2),
                     (False, 1)]  # fmt: skip
    assert isinstance(outcomes[1], Recorded)
    assert outcomes[1].id == known.id
    assert await recorder.count(responses) == 3
    # What arrived together is announced as it stands in the end.
    assert [(e.type, e.data["revision"]) for e in await recorder.announced()] == [
        ("response.received.v1", 1),
        ("response.received.v1", 2),
        ("response.revised.v1", 2),
        ("response.received.v1", 1),
    ]


async def test_a_thousand_rows_and_more_come_out_in_order(recorder: Recorder) -> None:
    commands = [recorder.command(f"A-{n}", score=n % 11) for n in range(2_345)]
    outcomes = await record_many(recorder.ingest, commands)
    assert [o.revision for o in outcomes if isinstance(o, Recorded)] == [1] * 2_345
    assert await recorder.count(responses) == 2_345
    again = await record_many(recorder.ingest, commands)
    assert all(isinstance(o, Recorded) and o.duplicate for o in again)
    assert [o.id for o in again if isinstance(o, Recorded)] == [
        o.id for o in outcomes if isinstance(o, Recorded)
    ]


async def test_a_score_that_does_not_fit_the_known_metric_is_refused(
    recorder: Recorder,
) -> None:
    first = await recorder.post(score=4, metric="csat")
    (outcome,) = await record_many(recorder.ingest, [recorder.command(score=9)])
    assert isinstance(outcome, Invalid)
    assert (await recorder.stored(first.id)).revision == 1
    assert await recorder.count(revisions) == 0


async def test_fifty_at_once_under_one_key_make_one_row(recorder: Recorder) -> None:
    outcomes = await asyncio.gather(
        *(recorder.ingest.record.submit(recorder.command(score=2)) for _ in range(50))
    )
    assert len({o.id for o in outcomes if isinstance(o, Recorded)}) == 1
    assert [o.duplicate for o in outcomes if isinstance(o, Recorded)].count(False) == 1
    assert await recorder.count(responses) == 1


async def test_processes_that_meet_at_one_key_make_one_row(recorder: Recorder) -> None:
    """Each transaction stands for a process: only the unique key is between them."""
    commands = [recorder.command(f"A-{n}", score=n, comment="x") for n in range(9)]

    async def one(order: list[RecordResponse]) -> list[Outcome]:
        return await record_many(recorder.ingest, order)

    runs = await asyncio.gather(*(one(commands if n % 2 else commands[::-1]) for n in range(8)))
    assert await recorder.count(responses) == 9
    assert await recorder.count(revisions) == 0
    ids = {o.id for run in runs for o in run if isinstance(o, Recorded)}
    assert len(ids) == 9
    fresh = [o for run in runs for o in run if isinstance(o, Recorded) and not o.duplicate]
    assert len(fresh) == 9
    assert len(await recorder.announced()) == 9


async def test_an_idempotency_key_answers_the_same_for_seven_days(recorder: Recorder) -> None:
    first = await recorder.post(score=2, key="k-1")
    again = await recorder.post(score=2, key="k-1")
    assert again == Recorded(id=first.id, duplicate=False, revision=1, replayed=True)

    recorder.clock.advance(timedelta(days=7))
    after = await recorder.post(score=2, key="k-1")
    assert after == Recorded(id=first.id, duplicate=True, revision=1)
    assert await recorder.count(PLUMBING.requests) == 1


async def test_an_idempotency_key_with_another_meaning_changes_nothing(
    recorder: Recorder,
) -> None:
    await recorder.post(score=2, key="k-1")
    (outcome,) = await record_many(recorder.ingest, [recorder.command(score=3, key="k-1")])
    assert isinstance(outcome, Invalid)
    assert outcome.extra == {"code": "idempotency_key_reused"}
    assert await recorder.count(revisions) == 0
    assert not (await recorder.post("A-2", score=3, source="other", key="k-1")).replayed


async def test_a_refused_request_leaves_its_idempotency_key_free(recorder: Recorder) -> None:
    (refused,) = await record_many(
        recorder.ingest, [recorder.command(comment="no score", key="k-1")]
    )
    assert isinstance(refused, Invalid)
    assert await recorder.count(PLUMBING.requests) == 0
    assert not (await recorder.post(score=2, key="k-1")).replayed


async def test_one_idempotency_key_twice_in_one_group(recorder: Recorder) -> None:
    outcomes = await record_many(
        recorder.ingest,
        [
            recorder.command(score=2, key="k-1"),
            recorder.command(score=2, key="k-1"),
            recorder.command(score=3, key="k-1"),
        ],
    )
    assert isinstance(outcomes[0], Recorded)
    assert isinstance(outcomes[1], Recorded)
    assert (outcomes[0].replayed, outcomes[1].replayed) == (False, True)
    assert isinstance(outcomes[2], Invalid)
    assert await recorder.count(revisions) == 0


async def test_the_words_of_an_erased_person_are_not_taken_again(recorder: Recorder) -> None:
    first = await recorder.post(score=2, customer={"id": "C-1"}, comment="Forty minutes.")
    async with recorder.database.transaction() as tx:
        await erase_person(tx, recorder.keys.ref("crm", "C-1"), recorder.clock.now())
    recorder.clock.advance(MINUTE)
    await recorder.post(score=3, customer={"id": "C-1"}, comment="Still here.")
    other = await recorder.post("A-2", score=1, customer={"id": "C-1"}, comment="And more.")
    assert (await recorder.stored(first.id)).sealed_person is None
    stored = await recorder.stored(other.id)
    assert (stored.sealed_person, stored.has_comment) == (None, False)
    assert stored.clear["score"] == 1


async def test_an_erasure_takes_what_was_said_before_the_customer_was_named(
    recorder: Recorder,
) -> None:
    first = await recorder.post(score=2, comment="Forty minutes.")
    recorder.clock.advance(MINUTE)
    await recorder.post(customer={"id": "C-1", "name": "Anna"})
    ref = recorder.keys.ref("crm", "C-1")
    async with recorder.database.transaction() as tx:
        await erase_person(tx, ref, recorder.clock.now())
        assert await recorder.keys.for_reading(tx, [ref, first.id]) == {}

    recorder.clock.advance(MINUTE)
    await recorder.post(comment="And another thing.")  # which names nobody
    stored = await recorder.stored(first.id)
    assert (stored.person_ref, stored.sealed_person, stored.has_comment) == (ref, None, False)


async def test_a_customer_who_is_named_after_their_erasure_takes_the_words_along(
    recorder: Recorder,
) -> None:
    ref = recorder.keys.ref("crm", "C-1")
    async with recorder.database.transaction() as tx:
        await erase_person(tx, ref, recorder.clock.now())
    first = await recorder.post(score=2, comment="Forty minutes.")
    recorder.clock.advance(MINUTE)
    await recorder.post(customer={"id": "C-1"})

    async with recorder.database.reading() as view:
        assert await recorder.keys.for_reading(view, [ref, first.id]) == {}
    assert (await recorder.stored(first.id)).sealed_person is None


async def test_a_verdict_of_an_older_revision_does_not_overwrite(recorder: Recorder) -> None:
    first = await recorder.post(score=2)
    await recorder.hear(first.id, 1, task_id="tsk_1", themes=["waiting"])
    stored = await recorder.stored(first.id)
    assert (stored.state, stored.task_id, stored.themes) == ("task_open", "tsk_1", ["waiting"])

    recorder.clock.advance(MINUTE)
    await recorder.post(score=9)
    await recorder.hear(first.id, 2, state="no_action", reason="customer_revised")
    await recorder.hear(first.id, 1, task_id="tsk_1")
    stored = await recorder.stored(first.id)
    assert (stored.state, stored.reason, stored.task_id) == (
        "no_action",
        "customer_revised",
        None,
    )
    await recorder.hear(first.id, 2, state="closed")
    assert (await recorder.stored(first.id)).state == "closed"


async def test_what_nobody_handled_is_announced_again_under_the_same_event_id(
    recorder: Recorder,
) -> None:
    forgotten = await recorder.post("A", score=2)
    handled = await recorder.post("B", score=2)
    pruned = await recorder.post("C", score=2, comment="x")
    before = {e.subject: e for e in await recorder.announced()}
    await recorder.hear(handled.id, 1)
    outbox = PLUMBING.outbox
    async with recorder.database.transaction() as tx:
        await tx.execute(update(outbox).values(published_at=recorder.clock.now()))
        await tx.execute(outbox.delete().where(outbox.c.event_id == before[pruned.id].id))
    upkeep = Upkeep(recorder.database, recorder.clock)

    recorder.clock.advance(timedelta(minutes=14))
    assert not await upkeep.step()
    recorder.clock.advance(timedelta(minutes=2))
    async with recorder.database.reading() as view:
        waiting = await list_unhandled(view, now=recorder.clock.now())
    assert {each.id for each in waiting} == {forgotten.id, pruned.id}
    assert await upkeep.step()
    assert not await upkeep.step()

    async with recorder.database.reading() as view:
        rows = await view.all(select(outbox).where(outbox.c.published_at.is_(None)))
    again = {e.subject: e for e in (decode(bytes(row.body)) for row in rows)}
    assert again.keys() == {forgotten.id, pruned.id}
    assert again[forgotten.id] == before[forgotten.id]
    assert again[pruned.id] == before[pruned.id]

    recorder.clock.advance(timedelta(minutes=20))
    assert not await upkeep.step()  # each time it waits twice as long
    recorder.clock.advance(timedelta(minutes=20))
    assert await upkeep.step()


async def test_nothing_personal_lies_in_the_clear(recorder: Recorder) -> None:
    canary = "canary7f3a"
    await recorder.post(
        score=2,
        key=canary,
        comment=canary,
        customer={"id": canary, "name": canary, "email": f"{canary}@b.example"},
        attributes={"note": canary},
    )
    async with recorder.database.reading() as view:
        for table in (
            responses,
            revisions,
            PLUMBING.requests,
            PLUMBING.outbox,
            person_key_rows,
        ):
            for row in await view.all(select(table)):
                assert canary not in repr(tuple(row))
