"""Whoever sees a customer's personal data stands in the trail, wherever it was seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import select
from typing_extensions import override

from shared.db.transaction import Database, Transaction
from shared.errors import TryLater
from shared.identity.erasure import erase_person
from shared.identity.principal import Principal
from shared.identity.tables import audit
from shared.identity.views import note_views
from tests.desk import Desk
from tests.fakes import ManualClock

MAYA: dict[str, Any] = {
    "customer": "c-maya",
    "block": {"name": "Maya Lindqvist", "email": "maya@example.org"},
}
WAITED = "Waited forty minutes & nobody called."
Look = tuple[str, str, dict[str, Any]]


async def looks(desk: Desk) -> list[Look]:
    """Return who saw whom: the nickname of staff, the customer, the details."""
    nick = {staff_id: name for name, staff_id in desk.staff.items()}
    async with desk.database.reading() as view:
        rows = await view.all(
            select(audit).where(audit.c.action == "person.viewed").order_by(audit.c.n)
        )
    return [(nick[row.actor_id], row.subject, dict(row.detail)) for row in rows]


PLACES = {
    "/tasks/{task}": "task",
    "/v1/tasks/{task}": "task",
    "/v1/tasks": "list",
    "/v1/tasks?q=maya": "search",
    "/": "queue",
    "/?q=maya": "search",
    "/queue.csv": "file",
    "/customers/{person}": "customer",
    "/v1/customers/{person}": "customer",
    "/customers/{person}/events.csv": "customer",
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_look_is_written_down_wherever_the_person_is_shown(
    desk: Desk, place: str
) -> None:
    """Who, whom, and on which page; again within the hour it is the same look."""
    task = await desk.hears(WAITED, **MAYA)
    path = place.format(task=task.id, person=task.person_ref)

    async with desk.browsing("ana") as browser:
        shown = await browser.get(path)
        await browser.get(path)
        via = PLACES[place]
        detail = {"via": via} if via == "customer" else {"via": via, "task": task.id}
        once = await looks(desk)
        desk.clock.advance(timedelta(minutes=59))
        await browser.get("/v1/tasks")
        within = await looks(desk)
        desk.clock.advance(timedelta(minutes=2))
        await browser.get(path)

    assert "forty minutes" in shown.text
    assert once == within == [("ana", task.person_ref, detail)]
    assert await looks(desk) == [("ana", task.person_ref, detail)] * 2


async def test_each_viewer_and_each_customer_is_a_look_of_its_own(desk: Desk) -> None:
    maya = await desk.hears(WAITED, **MAYA)
    jonas = await desk.hears("Zu spät", customer="c-jonas", block={"name": "Jonas Weber"})

    for nick in ("ana", "ole", "ana"):
        async with desk.browsing(nick) as browser:
            await browser.get("/?tab=open")

    seen = [(nick, person) for nick, person, _ in await looks(desk)]
    assert sorted(seen) == sorted(
        (nick, task.person_ref) for nick in ("ana", "ole") for task in (maya, jonas)
    )


@pytest.mark.parametrize("place", PLACES)
async def test_who_is_shown_no_person_has_seen_none(desk: Desk, place: str) -> None:
    """Neither another team's agent, nor anybody after an erasure."""
    task = await desk.hears(WAITED, **MAYA)
    path = place.format(task=task.id, person=task.person_ref)

    async with desk.browsing("max") as browser:
        elsewhere = await browser.get(path)
    async with desk.database.transaction() as tx:
        await erase_person(tx, task.person_ref, desk.clock.now())
    async with desk.browsing("ana") as browser:
        erased = await browser.get(path)

    assert "Lindqvist" not in elsewhere.text + erased.text
    assert await looks(desk) == []


async def test_who_acts_through_the_interface_is_answered_with_the_person(desk: Desk) -> None:
    """The answer to an act shows the task; its repetition is what was shown then."""
    task = await desk.hears(WAITED, **MAYA)

    async with desk.browsing("ana") as browser:
        answers = []
        for _ in range(3):
            answers.append(
                await browser.post(
                    f"/v1/tasks/{task.id}/claim", headers={"Idempotency-Key": "k"}
                )
            )
            desk.clock.advance(timedelta(minutes=50))

    assert ["Maya" in answer.text for answer in answers] == [True] * 3
    assert await looks(desk) == [("ana", task.person_ref, {"via": "task", "task": task.id})]


async def test_a_file_of_the_queue_is_an_export(desk: Desk) -> None:
    """How many tasks stood in it is noted too."""
    await desk.hears(WAITED, **MAYA)

    async with desk.browsing("ana") as browser:
        await browser.get("/queue.csv")
    async with desk.database.reading() as view:
        rows = await view.all(select(audit).where(audit.c.action == "list.exported"))

    assert [(row.actor_id, row.subject, row.detail) for row in rows] == [
        (desk.staff["ana"], "tasks", {"format": "csv", "tasks": 1})
    ]


async def test_the_trail_of_looks_holds_nothing_personal(desk: Desk) -> None:
    """Pseudonyms, ids and places; no name, no address, no word."""
    await desk.hears(WAITED, **MAYA)
    async with desk.browsing("ana") as browser:
        for path in ("/", "/?q=maya@example.org", "/queue.csv?q=maya"):
            await browser.get(path)

    async with desk.database.reading() as view:
        lines = [str(tuple(row)).lower() for row in await view.all(select(audit))]

    assert lines
    assert [line for line in lines if "maya" in line or "forty" in line] == []


class Full(Database):
    """A database that takes nothing more."""

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            yield tx
            raise TryLater("the disk is full")


async def test_what_cannot_be_written_down_is_in_the_log(
    database_of: Callable[[str], Database], clock: ManualClock
) -> None:
    """A page is read also while nothing can be written; by pseudonym, as in the trail."""
    full = Full(database_of("loop")._engines)
    by = Principal(kind="staff", id="stf_1", name="Ana", scopes=frozenset())

    with structlog.testing.capture_logs() as logged:
        await note_views(full, {"per_1": "tsk_1"}, by=by, via="task", now=clock.now())

    assert logged == [
        {
            "event": "audit.not_recorded",
            "log_level": "warning",
            "viewer": "stf_1",
            "action": "person.viewed",
            "subjects": ["per_1"],
        }
    ]
