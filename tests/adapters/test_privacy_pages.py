"""The pages about customers' data as a browser without scripts meets them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import delete, select, update

from services.ingest.jobs import PersonWork
from services.ingest.tables import PLUMBING, responses
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.identity.person_requests import SERVICES, record_part
from shared.identity.tables import person_keys
from shared.sealing import Keyring
from tests.adapters.test_settings_pages import said, send
from tests.desk import Desk
from tests.fakes import ManualClock
from tests.front_desk import FrontDesk, front_desk_on
from tests.staff import audited

PATH = "/settings/privacy"
ADDRESS = "anna.berg@example.org"
HERS = {"by": "email", "value": ADDRESS, "source": ""}


@pytest_asyncio.fixture
async def desk(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[FrontDesk]:
    opened = FrontDesk(engines=engines, clock=clock, keyring=keyring)
    await opened.open()
    yield opened
    await opened.close()


async def post(desk: FrontDesk, external_id: str, **members: object) -> str:
    """Post a response as a system does; return its id."""
    document = {
        "external_id": external_id,
        "score": 2,
        "comment": "Forty minutes.",
        "customer": {"id": "C-1", "email": ADDRESS},
        **members,
    }
    key = await desk.key()
    async with desk.browsing() as machine:
        answer = await machine.post(
            "/v1/responses", json=document, headers={"Authorization": f"Bearer {key}"}
        )
    assert answer.status_code == 202
    return str(answer.json()["id"])


async def finish(desk: FrontDesk, request_id: str) -> None:
    """Have everybody do their part."""
    worker = PersonWork(desk.ingest)
    while await worker.step():
        pass
    async with desk.database.transaction() as tx:
        for service in SERVICES[1:]:
            counts = {"tasks": 1, "replies": 0}
            await record_part(tx, request_id, service, counts=counts, now=desk.clock.now())


def number(answer: httpx.Response) -> str:
    """Return the request that a form led to."""
    assert answer.status_code == 303, answer.text
    found = re.fullmatch(rf"{PATH}/(prq_\w+)", answer.headers["location"])
    assert found
    return found[1]


async def test_somebody_is_found_and_erased_and_there_is_a_certificate(
    desk: FrontDesk,
) -> None:
    await post(desk, "A-1")
    await post(desk, "A-2")
    mention = await post(desk, "A-3", customer={"id": "C-9"}, comment=f"Ask {ADDRESS}.")
    async with desk.browsing("ada") as browser:
        empty = said(await browser.get(PATH))
        found = await send(browser, f"{PATH}/find", **HERS)
        slip = await send(browser, PATH, kind="erasure", confirm="erase", **HERS)
        asked = await send(browser, PATH, kind="erasure", confirm="ERASE", **HERS)
        waiting = said(await browser.get(f"{PATH}/{number(asked)}"))
        await finish(desk, number(asked))
        shown = await browser.get(f"{PATH}/{number(asked)}")
        listed = said(await browser.get(PATH))

    assert "No requests yet" in empty
    assert "1 person found" in said(found)
    assert "2 responses, crm" in said(found)
    assert "1 response of somebody else seems to name the address" in said(found)
    assert found.headers["cache-control"] == "no-store"
    assert slip.status_code == 422
    assert "Please type the word as it stands here." in said(slip)
    assert "Look again" in waiting
    assert "Certificate of erasure" in said(shown)
    assert "By Ada" in said(shown)
    assert "What was sent responses 2" in said(shown)
    assert "Tasks and search tasks 1" in said(shown)
    assert "What remains score, times, touchpoint, themes" in said(shown)
    assert mention in shown.text
    assert ADDRESS not in shown.text
    assert "Erasure today" in listed or "Erasure" in listed
    assert "person.erased" in await audited(desk.database)


async def test_a_copy_is_made_and_fetched(desk: FrontDesk) -> None:
    response = await post(desk, "A-1")
    async with desk.browsing("ada") as browser:
        asked = await send(
            browser, PATH, kind="export", by="response_id", value=response, source=""
        )
        await finish(desk, number(asked))
        shown = await browser.get(f"{PATH}/{number(asked)}")
        archive = await browser.get(f"{PATH}/{number(asked)}/archive")

    assert "Fetch the copy" in said(shown)
    assert f"{PATH}/{number(asked)}/archive" in shown.text
    assert "attachment" in archive.headers["content-disposition"]
    (person,) = json.loads(archive.text)["persons"]
    assert person["ingest"]["responses"][0]["comment"] == "Forty minutes."


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"by": "email", "value": "nobody"}, "Please give a whole e-mail address."),
        ({"by": "customer_id", "value": "C-1"}, "Please say which source has given the id."),
        ({"by": "response_id", "value": "rsp_none"}, "There is nobody by that name here."),
        ({"by": "name", "value": "Anna"}, "Please choose one."),
        ({"by": "ref", "value": ""}, "Please fill in this field."),
    ],
)
async def test_whoever_cannot_be_found_is_asked_for_again(
    desk: FrontDesk, fields: dict[str, str], expected: str
) -> None:
    async with desk.browsing("ada") as browser:
        found = await send(browser, f"{PATH}/find", **fields)
        asked = await send(browser, PATH, kind="export", **fields)

    assert (found.status_code, asked.status_code) == (422, 422)
    assert expected in said(found)
    assert expected in said(asked)


async def test_nobody_found_is_said(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        found = await send(browser, f"{PATH}/find", **HERS)

    assert "Nobody found" in said(found)
    assert "Erase for good" not in found.text


async def test_a_customers_page_leads_here_by_the_pseudonym(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> None:
    floor = Desk(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await floor.open_for_business()
    task = await floor.hears("Forty minutes.", customer="C-1", block={"name": "Anna"})
    way = f"{PATH}?ref={task.person_ref}"
    async with floor.browsing("ada") as browser:
        assert way in (await browser.get(f"/customers/{task.person_ref}")).text
    async with floor.browsing("uwe") as browser:
        assert way not in (await browser.get(f"/customers/{task.person_ref}")).text


async def test_a_pseudonym_in_the_address_stands_in_the_form(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        shown = await browser.get(PATH, params={"ref": "per_1234"})

    assert 'value="per_1234"' in shown.text
    assert '<option value="ref" selected>' in shown.text


async def test_the_pages_are_for_few_and_forms_come_from_here(desk: FrontDesk) -> None:
    for nick in ("dev", "lea", "sam"):
        async with desk.browsing(nick) as browser:
            assert (await browser.get(PATH)).status_code == 403
    async with desk.browsing("ada") as browser:
        elsewhere = await browser.post(
            PATH, data={**HERS, "kind": "erasure"}, headers={"Origin": "https://evil.example"}
        )
    assert elsewhere.status_code == 403


def content_of(folder: Path) -> bytes:
    """Return every byte of every file."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_afterwards_no_file_of_the_database_holds_the_key_or_what_it_sealed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "closed-loop.db"
    async with front_desk_on(str(file)) as desk:
        response = await post(desk, "A-1")
        async with desk.database.reading() as view:
            row = await view.first(
                select(person_keys.c.wrapped_key, responses.c.sealed_person)
                .join(responses, responses.c.person_ref == person_keys.c.ref)
                .where(responses.c.id == response)
            )
        assert row is not None
        sealed = row.sealed_person.encode()
        held = content_of(tmp_path)
        assert row.wrapped_key in held
        assert sealed in held
        async with desk.browsing("ada") as browser:
            asked = await send(browser, PATH, kind="erasure", confirm="ERASE", **HERS)
        await finish(desk, number(asked))
        while await PersonWork(desk.ingest).step():
            pass
        # What was announced goes to the bus and stays there, sealed, as long as its topics.
        async with desk.database.transaction() as tx:
            await tx.execute(delete(PLUMBING.outbox))
        assert await desk.database.sweep()

        held = content_of(tmp_path)
        assert row.wrapped_key not in held
        assert sealed not in held


async def test_the_period_is_changed_and_a_shorter_one_is_asked_for_twice(
    desk: FrontDesk,
) -> None:
    response = await post(desk, "A-1")
    async with desk.database.transaction() as tx:
        await tx.execute(
            update(responses)
            .where(responses.c.id == response)
            .values(received_at=desk.clock.now() - timedelta(days=400))
        )
    path = f"{PATH}/retention"
    async with desk.browsing("ada") as browser:
        led = said(await browser.get(PATH))
        first = await browser.get(path)
        bad = await send(browser, path, months="soon", version="1")
        asked = await send(browser, path, months="12", version="1")
        slip = await send(browser, path, months="12", version="1", confirm="erase")
        sure = await send(browser, path, months="12", version="1", confirm="ERASE")
        shown = said(await browser.get(path))
        stale = await send(browser, path, months="24", version="1")
        ever = await send(browser, path, months="", version="2")
        kept = said(await browser.get(path))
        few = await send(browser, path, audit_months="11", version="3")
        shorter = await send(browser, path, deliveries_months="12", version="3")
        more = await send(browser, path, deliveries_months="12", version="3", confirm="ERASE")
        others = said(await browser.get(path))
    async with desk.browsing("dev") as browser:
        refused = await browser.get(path)

    assert "How long data are kept" in led
    assert 'value="36"' in first.text
    assert 'name="confirm"' not in first.text
    assert (bad.status_code, asked.status_code, slip.status_code) == (422, 422, 422)
    assert "1 to 600" in said(bad)
    assert "forgets something of 1 person for good" in said(asked)
    assert 'name="confirm"' in asked.text
    assert (sure.status_code, sure.headers["location"]) == (303, path)
    assert "1 person, 1 response" in shown
    assert stale.status_code == 422
    assert "Somebody changed the period meanwhile" in said(stale)
    assert ever.status_code == 303
    assert "everything is kept for ever" in kept
    assert "whole months, 12 to 600" in said(few)
    assert "goes for good within the hour" in said(shorter)
    assert (shorter.status_code, more.status_code) == (422, 303)
    assert "Mail and calls of webhooks is counted within the hour" in others
    assert "Lines of the audit trail kept for ever" in others
    assert refused.status_code == 403
    assert (await audited(desk.database)).count("retention.changed") == 3
