"""Requests about persons over the interface: found, handed out, forgotten. On both databases.

Only ingest stands behind the door; what loop and notify would answer is noted for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select, update

from services.ingest.jobs import PersonWork
from services.ingest.tables import PLUMBING, payloads, responses, revisions
from shared.db.engine import Engines
from shared.events.envelope import Envelope, decode
from shared.identity.erasure import FORGOTTEN
from shared.identity.person_keys import PersonKeys
from shared.identity.person_requests import record_part
from shared.identity.principal import Scope
from shared.identity.tables import person_request_parts, person_requests
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.ingest_door import Door, open_door
from tests.staff import audited

PATH = "/v1/person-requests"
ANNA = {"id": "C-1", "name": "Anna Berg", "email": "Anna.Berg@example.org"}
ADDRESS = "anna.berg@example.org"


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        opened.rights = await opened.key("crm", *Scope)
        yield opened


async def post(door: Door, external_id: str, **members: Any) -> str:
    """Post a response of Anna's, unless it is said whose; return its id."""
    document = {"external_id": external_id, "score": 2, "customer": ANNA, **members}
    answer = await door.post({name: it for name, it in document.items() if it is not None})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def ask(door: Door, kind: str, **person: str) -> httpx.Response:
    return await door.client.post(
        PATH, json={"kind": kind, "person": person}, headers=door.rights
    )


async def work(door: Door) -> None:
    """Have ingest do all of its part."""
    (worker,) = [w for w in door.service.workers if isinstance(w, PersonWork)]
    while await worker.step():
        pass


async def others_do_their_part(door: Door, request_id: str, *, persons: int = 1) -> None:
    async with door.database.transaction() as tx:
        for service in ("loop", "notify"):
            await record_part(
                tx,
                request_id,
                service,
                counts={"tasks": 1},
                now=door.clock.now(),
                persons=persons,
            )


async def done(door: Door, kind: str, *, persons: int = 1, **person: str) -> dict[str, Any]:
    """Ask for something, have everybody do their part, and return how it stands then."""
    asked = await ask(door, kind, **person)
    assert asked.status_code == 202, asked.text
    await work(door)
    request_id = asked.json()["id"]
    if persons:
        await others_do_their_part(door, request_id, persons=persons)
    await work(door)
    shown = (await door.get(f"{PATH}/{request_id}")).json()
    assert shown["state"] == "done", shown
    return cast("dict[str, Any]", shown)


async def announced(door: Door, kind: str) -> list[Envelope]:
    async with door.database.reading() as view:
        rows = await view.all(select(PLUMBING.outbox.c.body).order_by(PLUMBING.outbox.c.seq))
    return [one for row in rows if (one := decode(row.body)).type == kind]


async def sealed(door: Door) -> dict[str, str | None]:
    """Return per response what lies sealed of it."""
    async with door.database.reading() as view:
        rows = await view.all(select(responses.c.id, responses.c.sealed_person))
    return {row.id: row.sealed_person for row in rows}


async def test_whoever_is_erased_by_a_response_is_forgotten_with_all_their_responses(
    door: Door,
) -> None:
    first = await post(door, "A-1", comment="Forty minutes.")
    door.clock.advance(timedelta(minutes=1))
    await post(door, "A-1", comment="Forty-five, in fact.")
    second = await post(door, "A-2", score=9)
    other = await post(door, "A-3", customer={"id": "C-2"}, comment="Not hers.")

    shown = await done(door, "erasure", response_id=first)

    assert shown["found_by"] == "response_id"
    assert shown["certificate"]["services"]["ingest"] == {
        "archives": 0,
        "payloads": 0,
        "responses": 2,
        "revisions": 2,
    }
    assert shown["certificate"]["services"]["loop"] == {"tasks": 1}
    assert shown["certificate"]["remains"] == ["score", "times", "touchpoint", "themes"]
    assert shown["certificate"]["log_until"] == "2026-04-01"
    left = await sealed(door)
    assert (left[first], left[second]) == (FORGOTTEN, FORGOTTEN)
    assert left[other] not in {None, FORGOTTEN}
    async with door.database.reading() as view:
        parts = await view.all(select(revisions.c.sealed_person))
    assert [part.sealed_person for part in parts] == [FORGOTTEN, FORGOTTEN]
    (event,) = await announced(door, "customer.erased.v1")
    assert event.data["response_ids"] == [first, second]
    assert event.data["whole"]
    assert event.data["last"]
    assert (await door.get(f"/v1/responses/{second}")).json()["score"] == 9
    assert (await audited(door.database))[-2:] == ["person.erasure-asked", "person.erased"]


async def test_what_comes_of_the_erased_later_stays_anonymous(door: Door) -> None:
    document = {
        "external_id": "A-1",
        "score": 2,
        "customer": {"email": ADDRESS},
        "comment": "Forty minutes.",
    }
    first = (await door.post(document)).json()["id"]
    await done(door, "erasure", response_id=first)
    door.clock.advance(timedelta(minutes=1))

    again = await door.post(document)
    revised = await door.post({**document, "customer": ANNA, "comment": "And more."})
    new = await door.post({**document, "external_id": "A-2"})

    assert again.json()["duplicate"]
    assert revised.json() | {"revision": 2, "id": first} == revised.json()
    left = await sealed(door)
    assert left == {first: None, new.json()["id"]: None}
    async with door.database.reading() as view:
        parts = await view.all(select(revisions.c.sealed_person))
    assert {part.sealed_person for part in parts} <= {None, FORGOTTEN}


async def test_an_address_finds_everybody_who_gave_it_and_what_stands_alone(
    door: Door,
) -> None:
    hers = await post(door, "A-1")
    elsewhere = await post(door, "A-2", customer={"email": ADDRESS})
    alone = await post(door, "A-3", customer=None, comment=f"Write to {ADDRESS}.")
    mention = await post(door, "A-4", customer={"id": "C-9"}, comment=f"Ask {ADDRESS}!")
    longer = await post(door, "A-5", customer=None, comment=f"x{ADDRESS}, {ADDRESS}.uk")
    found = await door.client.post(
        f"{PATH}/find", json={"person": {"email": ADDRESS.upper()}}, headers=door.rights
    )

    shown = await done(door, "erasure", persons=3, email=ADDRESS)

    assert [one["responses"] for one in found.json()["persons"]] == [1, 1, 1]
    assert found.json()["mentions"] == [mention]
    assert found.json()["complete"]
    assert "nna" not in found.text
    assert shown["persons"] == 3
    assert shown["mentions"] == [mention]
    left = await sealed(door)
    assert {left[one] for one in (hers, elsewhere, alone)} == {FORGOTTEN}
    assert FORGOTTEN not in {left[one] for one in (mention, longer)}


async def test_a_customer_id_takes_along_what_stands_alone_and_nobody_else(
    door: Door,
) -> None:
    await post(door, "A-1")
    alone = await post(door, "A-2", customer=None, comment=f"I am {ADDRESS}")
    partner = await post(door, "A-3", customer={"id": "C-2", "email": ADDRESS})

    shown = await done(door, "erasure", persons=2, source="crm", customer_id="C-1")

    assert shown["mentions"] == [partner]
    left = await sealed(door)
    assert left[alone] == FORGOTTEN
    assert left[partner] not in {None, FORGOTTEN}


async def test_samples_of_payloads_that_name_the_address_are_dropped(door: Door) -> None:
    for body in (f"id=1&mail={ADDRESS.replace('@', '%40')}", "id=2&mail=other%40example.org"):
        await door.send(
            body, "/v1/hooks/crm", **{"content-type": "application/x-www-form-urlencoded"}
        )
    async with door.database.reading() as view:
        assert len(await view.all(select(payloads.c.id))) == 2

    shown = await done(door, "erasure", persons=0, email=ADDRESS)

    assert shown["certificate"]["services"] == {"ingest": {"payloads": 1}}
    async with door.database.reading() as view:
        assert len(await view.all(select(payloads.c.id))) == 1


async def test_nobody_found_is_an_end_too(door: Door) -> None:
    for person in ({"email": ADDRESS}, {"source": "crm", "customer_id": "C-1"}):
        shown = await done(door, "erasure", persons=0, **person)
        assert shown["persons"] == 0
    new = await post(door, "A-1")
    assert (await sealed(door))[new] is not None  # nobody was locked out by a slip


async def test_an_export_holds_everything_and_is_gone_after_a_week(door: Door) -> None:
    first = await post(
        door, "A-1", comment="Forty minutes.", attributes={"shoe size": 38}, touchpoint="door"
    )
    shown = await done(door, "export", source="crm", customer_id="C-1")

    archive = await door.get(shown["archive_url"])
    door.clock.advance(timedelta(days=7, seconds=1))
    await work(door)
    later = await door.get(shown["archive_url"])

    assert archive.headers["content-disposition"].startswith("attachment;")
    (person,) = archive.json()["persons"]
    (response,) = person["ingest"]["responses"]
    assert response["id"] == first
    assert response["external_id"] == "A-1"
    assert response["comment"] == "Forty minutes."
    assert response["customer"] == ANNA
    assert response["attributes"] == {"shoe size": 38}
    assert response["touchpoint"] == "door"
    assert later.status_code == 410
    assert (await audited(door.database))[-1] == "person.exported"


async def test_what_stood_in_the_clear_before_is_forgotten_too(door: Door) -> None:
    first = await post(door, ADDRESS, comment="Forty minutes.")
    async with door.database.transaction() as tx:
        await tx.execute(
            update(responses)
            .where(responses.c.id == first)
            .values(natural_key=ADDRESS, keyed=False, transaction_id=f"T {ADDRESS}")
        )

    await done(door, "erasure", response_id=first)

    async with door.database.reading() as view:
        rows = await view.all(select(responses))
    assert ADDRESS not in str([tuple(row) for row in rows])
    again = await door.post({"external_id": ADDRESS, "score": 2, "customer": ANNA})
    assert again.json()["id"] == first


async def test_an_archive_goes_with_the_person(door: Door) -> None:
    first = await post(door, "A-1", comment="Forty minutes.")
    exported = await done(door, "export", response_id=first)
    erased = await done(door, "erasure", response_id=first)

    assert (await door.get(exported["archive_url"])).status_code == 410
    assert erased["certificate"]["services"]["ingest"]["archives"] == 1
    async with door.database.reading() as view:
        rows = await view.all(select(person_request_parts.c.sealed_part))
    assert [row.sealed_part for row in rows if row.sealed_part] == []


async def test_an_archive_that_is_not_complete_is_not_handed_out(door: Door) -> None:
    first = await post(door, "A-1")
    asked = (await ask(door, "export", response_id=first)).json()
    await work(door)

    early = await door.get(f"{PATH}/{asked['id']}/archive")

    assert early.status_code == 409
    assert early.json()["state"] == "working"


async def test_by_what_somebody_was_named_is_kept_no_longer_than_it_is_needed(
    door: Door,
) -> None:
    await post(door, "A-1")
    shown = await done(door, "erasure", email=ADDRESS)

    async with door.database.reading() as view:
        row = await view.first(select(person_requests))
    assert row is not None
    assert (row.sealed_subject, row.found, row.cursor) == (None, None, None)
    assert row.swept_at is not None
    assert ADDRESS not in str(shown)


async def test_a_search_goes_on_where_it_was(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.handlers.persons.searching.SLICE", 2)
    ids = [await post(door, f"A-{n}", customer={"email": ADDRESS}) for n in range(5)]
    asked = (await ask(door, "erasure", email=ADDRESS)).json()
    (worker,) = [w for w in door.service.workers if isinstance(w, PersonWork)]

    await worker.step()
    async with door.database.reading() as view:
        cursor = await view.scalar(select(person_requests.c.cursor))
    await work(door)

    assert cursor == ids[1]
    shown = (await door.get(f"{PATH}/{asked['id']}")).json()
    assert (shown["state"], shown["persons"]) == ("working", 1)
    assert set((await sealed(door)).values()) == {FORGOTTEN}


async def test_many_responses_are_told_in_several_events(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.handlers.persons.forgetting.MOST_RESPONSES", 2)
    ids = [await post(door, f"A-{n}") for n in range(5)]
    await done(door, "erasure", response_id=ids[0])

    events = await announced(door, "customer.erased.v1")

    assert [event.data["response_ids"] for event in events] == [ids[:2], ids[2:4], ids[4:]]
    assert [event.data["last"] for event in events] == [False, False, True]


@pytest.mark.parametrize(
    "person",
    [
        {},
        {"source": "crm"},
        {"customer_id": "C-1"},
        {"email": ADDRESS, "ref": "per_1"},
        {"email": "nobody"},
        {"ref": " "},
        {"source": "crm", "customer_id": "C\x001"},
    ],
)
async def test_a_person_is_named_by_one_way(door: Door, person: dict[str, str]) -> None:
    answer = await ask(door, "erasure", **person)

    assert answer.status_code == 422
    assert all(value not in answer.text for value in person.values() if len(value) > 3)


async def test_what_is_not_there_is_not_found(door: Door) -> None:
    assert (await ask(door, "erasure", response_id="rsp_nothing")).status_code == 404
    assert (await ask(door, "export", ref="per_nothing")).status_code == 404
    assert (await door.get(f"{PATH}/prq_nothing")).status_code == 404


async def test_requests_are_listed_by_kind_and_state(door: Door) -> None:
    first = await post(door, "A-1")
    await done(door, "erasure", response_id=first)
    await ask(door, "export", email=ADDRESS)

    async def listed(**query: str) -> list[str]:
        return [one["kind"] for one in (await door.get(PATH, **query)).json()["data"]]

    assert await listed() == ["export", "erasure"]
    assert await listed(kind="erasure") == ["erasure"]
    assert await listed(state="searching") == ["export"]
    assert await listed(reason="retention") == []


async def test_only_whoever_may_do_so_asks(door: Door) -> None:
    door.rights = await door.key("crm", Scope.RESPONSES_READ, Scope.TASKS_READ)

    assert (await ask(door, "erasure", email=ADDRESS)).status_code == 403
    assert (await door.get(PATH)).status_code == 403
