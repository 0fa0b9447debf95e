"""Customers are forgotten by themselves once their time is over. On both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select, text, update

from services.ingest import store
from services.ingest.handlers.persons import retention
from services.ingest.jobs import RetentionWork
from services.ingest.service import Ingest
from services.ingest.tables import responses
from shared.clock import next_quiet_hour
from shared.db.engine import Engines
from shared.db.transaction import Reading, Transaction
from shared.identity.audit import SYSTEM
from shared.identity.installation import name_organisation
from shared.identity.person_requests import get_request, open_request
from shared.identity.principal import Scope
from shared.identity.retention import over_before
from shared.identity.tables import person_keys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.staff import audited
from tests.whole_house import WholeHouse, open_house

PATH = "/v1/retention"
LONG_AGO = timedelta(days=4 * 365)
WORDS = "Forty minutes in the rain."


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened:
        yield opened


def ingest_of(house: WholeHouse) -> Ingest:
    (found,) = [each.resources for each in house.services if each.name == "ingest"]
    assert isinstance(found, Ingest)
    return found


async def post(
    house: WholeHouse, client: httpx.AsyncClient, number: int, customer: str | None, **more: Any
) -> str:
    """Post a response that opens no task, unless it is said otherwise; return its id."""
    document = {"external_id": f"A-{number}", "score": 9, "comment": WORDS, **more}
    if customer is not None:
        document["customer"] = {"id": customer, "name": f"Name of {customer}"}
    answer = await client.post("/v1/responses", json=document)
    assert answer.status_code == 202, answer.text
    await house.settle()
    return str(answer.json()["id"])


async def age(house: WholeHouse, *ids: str, by: timedelta = LONG_AGO) -> None:
    """Have responses been accepted longer ago."""
    async with house.database.transaction() as tx:
        await tx.execute(
            update(responses)
            .where(responses.c.id.in_(ids))
            .values(received_at=house.clock.now() - by)
        )


async def run(house: WholeHouse, *, token: str = "a") -> str | None:
    """Run it by hand and have everybody do their part; return the request."""
    ingest = ingest_of(house)
    async with ingest.database.transaction() as tx:
        now = house.clock.now()
        request = await retention.run(tx, ingest, token=token, by=SYSTEM, now=now)
    await house.settle()
    return request.id if request else None


async def comment_of(client: httpx.AsyncClient, response_id: str) -> str | None:
    answer = await client.get(f"/v1/responses/{response_id}")
    return "sealed" if answer.json()["external_id"] is not None else None


async def has_key(house: WholeHouse, response_id: str) -> bool:
    async with house.database.reading() as view:
        return (
            await view.scalar(
                select(person_keys.c.wrapped_key)
                .join(responses, responses.c.person_ref == person_keys.c.ref)
                .where(responses.c.id == response_id)
            )
        ) is not None


async def test_whose_time_is_over_is_forgotten_and_whoever_came_again_in_part(
    house: WholeHouse,
) -> None:
    async with house.client() as client:
        gone = [await post(house, client, n, "C-gone") for n in (1, 2)]
        nobody = await post(house, client, 3, None)
        first, again = [await post(house, client, n, "C-again") for n in (4, 5)]
        await age(house, *gone, nobody, first)
        seen = (await client.get(PATH)).json()

        request = await run(house)

        kept = {one: await comment_of(client, one) for one in (*gone, nobody, first, again)}
        shown = (await client.get(f"/v1/person-requests/{request}")).json()
        after = (await client.get(PATH)).json()

    assert seen["due"] == {"persons": 3, "responses": 4}
    assert kept == {gone[0]: None, gone[1]: None, nobody: None, first: None, again: "sealed"}
    assert [await has_key(house, one) for one in (gone[0], nobody, again)] == [
        False,
        False,
        True,
    ]
    assert (shown["reason"], shown["state"], shown["persons"]) == ("retention", "done", 3)
    assert shown["certificate"]["services"]["ingest"]["responses"] == 4
    assert after["due"] == {"persons": 0, "responses": 0}
    trail = await audited(house.database)
    assert trail.count("person.erased") == 2
    assert trail.count("person.partly-erased") == trail.count("retention.started") == 1
    house.clock.advance(timedelta(minutes=1))
    assert await run(house) is None


async def test_whoever_comes_back_after_their_time_is_somebody_new(house: WholeHouse) -> None:
    async with house.client() as client:
        old = await post(house, client, 1, "C-1")
        await age(house, old)
        await run(house)
        new = await post(house, client, 2, "C-1")
        late = await client.post(
            "/v1/responses",
            json={
                "external_id": "A-1",
                "score": 9,
                "comment": WORDS,
                "customer": {"id": "C-1", "name": "Name of C-1"},
            },
        )

        assert late.json() | {"status_url": ""} == late.json() | {
            "id": old,
            "duplicate": True,
            "status_url": "",
        }
        assert await comment_of(client, old) is None
        assert await comment_of(client, new) == "sealed"


async def test_an_open_task_keeps_its_customer_until_it_ends(house: WholeHouse) -> None:
    async with house.client() as client:
        angry = await post(house, client, 1, "C-1", score=1)
        calm = await post(house, client, 2, "C-1")
        await age(house, angry, calm)
        before = (await client.get(PATH)).json()
        assert await run(house) is None
        assert await comment_of(client, calm) == "sealed"
        async with house.database.transaction() as tx:
            await tx.execute(
                update(responses).where(responses.c.id == angry).values(state="closed")
            )
        house.clock.advance(timedelta(minutes=1))
        assert await run(house) is not None
        assert await comment_of(client, angry) is None
        tasks = (await client.get("/v1/tasks")).json()["data"]

    assert (before["waiting"], before["due"]["persons"]) == (1, 0)
    assert [task["flags"].count("erased") for task in tasks] == [1]


async def test_what_changed_since_somebody_was_found_is_looked_at_again(
    house: WholeHouse,
) -> None:
    async with house.client() as client:
        old = await post(house, client, 1, "C-1")
        await age(house, old)
        ingest = ingest_of(house)
        async with ingest.database.transaction() as tx:
            now = house.clock.now()
            made = await retention.run(tx, ingest, token="a", by=SYSTEM, now=now)
        longer = await client.put(PATH, json={"customers_months": None})
        await house.settle()
        assert longer.status_code == 200
        assert await comment_of(client, old) == "sealed"
    assert made is not None
    async with house.database.reading() as view:
        assert (await get_request(view, made.id)).state == "done"


async def test_whoever_asked_to_be_forgotten_meanwhile_stays_forgotten(
    house: WholeHouse,
) -> None:
    async with house.client() as client:
        old = await post(house, client, 1, "C-1")
        await age(house, old)
        async with house.database.reading() as view:
            ref = await view.scalar(select(responses.c.person_ref).where(responses.c.id == old))
        # Retention had found them when they asked; it does its part last.
        for reason in ("request", "retention"):
            async with house.database.transaction() as tx:
                await open_request(
                    tx,
                    "erasure",
                    keyring=house.keyring,
                    asked_by=SYSTEM.id,
                    now=house.clock.now(),
                    reason=reason,
                    found=[ref],
                )
            await house.settle()
        again = await post(house, client, 2, "C-1")

        assert await comment_of(client, old) is None
        assert not await has_key(house, again)


async def test_it_runs_once_a_night_on_the_clock_of_the_organisation(house: WholeHouse) -> None:
    async with house.database.transaction() as tx:
        await name_organisation(tx, "North", "Asia/Tokyo", by=SYSTEM, now=house.clock.now())
    worker = RetentionWork(ingest_of(house))
    async with house.client() as client:
        old = await post(house, client, 1, "C-1")
        await age(house, old)
        planned = datetime.fromisoformat((await client.get(PATH)).json()["next_run_at"])
    assert planned.astimezone(ZoneInfo("Asia/Tokyo")).hour == 3
    house.clock.advance(planned - house.clock.now() - timedelta(minutes=2))
    assert not await worker.step()
    house.clock.advance(timedelta(minutes=3))
    assert await worker.step()
    house.clock.advance(timedelta(minutes=2))
    assert not await worker.step(), "one is under way"
    await house.settle()
    house.clock.advance(timedelta(minutes=2))
    assert not await worker.step()
    async with house.client() as client:
        said = (await client.get(PATH)).json()
    assert datetime.fromisoformat(said["last_run_at"]) > planned
    assert datetime.fromisoformat(said["next_run_at"]) == planned + timedelta(days=1)


async def test_two_who_run_at_once_ask_once(house: WholeHouse) -> None:
    async with house.client() as client:
        await age(house, await post(house, client, 1, "C-1"))
    ingest = ingest_of(house)
    made = []
    for token in ("a", "b"):
        async with ingest.database.transaction() as tx:
            made.append(
                await retention.run(tx, ingest, token=token, by=SYSTEM, now=house.clock.now())
            )
    assert [one is not None for one in made] == [True, False]


async def test_a_run_goes_on_until_nobody_is_left(
    house: WholeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PERSONS_AT_ONCE", 2)
    async with house.client() as client:
        ids = [await post(house, client, n, f"C-{n}") for n in range(5)]
        await age(house, *ids)
        made = [await run(house) for _ in range(4)]
        left = (await client.get(PATH)).json()["due"]
    assert [one is not None for one in made] == [True, True, True, False]
    assert left == {"persons": 0, "responses": 0}


async def test_a_shorter_period_says_what_it_forgets_and_asks_again(house: WholeHouse) -> None:
    async with house.client() as client:
        await age(house, await post(house, client, 1, "C-1"), by=timedelta(days=400))
        seen = await client.get(PATH)
        short = await client.put(PATH, json={"customers_months": 12})
        stale = await client.put(
            PATH, json={"customers_months": 48}, headers={"if-match": '"9"'}
        )
        none = await client.put(PATH, json={"customers_months": 0})
        sure = await client.put(
            PATH,
            json={"customers_months": 12, "confirm": True},
            headers={"if-match": seen.headers["etag"]},
        )
        same = await client.put(PATH, json={"customers_months": 12})
    assert (seen.json()["customers_months"], seen.headers["etag"]) == (36, '"1"')
    assert short.status_code == 409
    assert (short.json()["persons"], short.json()["responses"]) == (1, 1)
    assert (stale.status_code, none.status_code) == (412, 422)
    assert sure.status_code == 200
    assert sure.json()["due"] == {"persons": 1, "responses": 1}
    assert same.headers["etag"] == sure.headers["etag"] == '"2"'
    assert (await audited(house.database)).count("retention.changed") == 1


async def test_who_may_look_may_not_change(house: WholeHouse) -> None:
    looker = await house.key(Scope.SETTINGS_READ)
    stranger = await house.key(Scope.RESPONSES_WRITE)
    async with house.client() as client:
        assert (await client.get(PATH, headers=looker)).status_code == 200
        assert (await client.get(PATH, headers=stranger)).status_code == 403
        change = await client.put(PATH, json={"customers_months": 48}, headers=looker)
        assert change.status_code == 403


def test_months_end_with_their_last_day() -> None:
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert over_before(leap, 36) == datetime(2025, 2, 28, 12, tzinfo=UTC)
    assert over_before(datetime(2026, 1, 31, tzinfo=UTC), 1) == datetime(
        2025, 12, 31, tzinfo=UTC
    )
    assert over_before(leap, 600).year == 1978


def test_the_quiet_hour_follows_the_clocks_of_the_place() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert next_quiet_hour(before, berlin) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert next_quiet_hour(datetime(2026, 3, 29, 1, tzinfo=UTC), berlin) == datetime(
        2026, 3, 30, 1, tzinfo=UTC
    )


class Planner:
    """Stands in for a view: says how the database would go about a query."""

    def __init__(self, view: Transaction) -> None:
        self.view = view
        self.plan = ""

    async def first(self, query: Any) -> None:
        compiled = query.compile(
            dialect=self.view.connection.dialect, compile_kwargs={"literal_binds": True}
        )
        explain = "EXPLAIN QUERY PLAN" if self.view.dialect == "sqlite" else "EXPLAIN"
        self.plan = str(await self.view.all(text(f"{explain} {compiled}")))


async def test_what_is_old_is_found_by_its_age(house: WholeHouse) -> None:
    """However much else there is: the indexes of what is kept and of open tasks lead there."""
    async with house.database.transaction() as tx:
        if tx.dialect == "postgresql":  # a small table is read whole, unless it may not be
            await tx.execute(text("SET LOCAL enable_seqscan = off"))
        planner = Planner(tx)
        await store.aged(cast("Reading", planner), before=house.clock.now())
    assert "ix_ingest_responses_kept" in planner.plan
    assert "ix_ingest_responses_task_open" in planner.plan
