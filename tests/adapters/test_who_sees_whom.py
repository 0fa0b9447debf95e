"""Roles see what they need: who sees the customer, and who the case without the customer.

One unhappy customer of the team Customer care, everybody of the house, every place where a case
appears: what each of them is shown is one table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import pytest_asyncio

from services.loop.tasks.domain.acts import AddNote, Close, ShareExample
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.store import note_escalated
from services.loop.themes.tables import mentions
from shared.db.transaction import Database
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.sealing import Keyring
from tests.desk import Desk
from tests.fakes import ManualClock

MEMBERS: Final[Mapping[str, str]] = {
    "name": "Maya Lindqvist",
    "e-mail": "maya@example.com",
    "phone": "+46 70 000 00 00",
    "words": "daughter",
    "note": "illness",
    "attribute": "pram-4711",
}
COMMENT = "Waited forty minutes with my daughter. Maya Lindqvist, maya@example.com"
BLOCK = {"name": "Maya Lindqvist", "email": "maya@example.com", "phone": "+46 70 000 00 00"}
EVERYTHING = frozenset(MEMBERS)

OUTSIDE: Final = (
    Role.AGENT,
    Role.TOUCHPOINT_OWNER,
    Role.CX_MANAGER,
    Role.ANALYST,
    Role.AUDITOR,
    Role.DEPARTMENT_HEAD,
)
"""Who works with tasks and neither owns this one nor leads."""
AFAR: Final = (Role.BOARD_MEMBER, Role.FINANCE, Role.DEVELOPER)
"""Who has nothing to do with single cases."""

# Where the case appears, and which members somebody is shown who may see the customer.
SEEN: Final[Mapping[str, frozenset[str]]] = {
    "task": EVERYTHING,
    "customer": frozenset({"name", "words", "note", "e-mail"}),
    "customer file": frozenset({"name", "words", "note", "e-mail"}),
    "queue": frozenset({"name", "words", "e-mail"}),
    "queue file": frozenset({"name", "words", "e-mail"}),
    "task document": EVERYTHING - {"attribute"},
    "task list": EVERYTHING - {"attribute"},
    "customer document": EVERYTHING - {"attribute"},
    "search by name": frozenset({"name", "words", "e-mail"}),
    "search by address": frozenset({"name", "words", "e-mail"}),
}


def places(task: FollowUpTask) -> Mapping[str, str]:
    return {
        "task": f"/tasks/{task.id}",
        "customer": f"/customers/{task.person_ref}",
        "customer file": f"/customers/{task.person_ref}/events.csv",
        "queue": "/?tab=open",
        "queue file": "/queue.csv?tab=open",
        "task document": f"/v1/tasks/{task.id}",
        "task list": "/v1/tasks",
        "customer document": f"/v1/customers/{task.person_ref}",
        "search by name": "/?tab=open&q=Lindqvist",
        "search by address": "/?tab=open&q=MAYA%40EXAMPLE.COM",
    }


class House(Desk):
    """A desk with somebody of every role who is in no team."""

    async def hire(self) -> None:
        async with self.database.transaction() as tx:
            for role in Role:
                made = await create_staff(
                    tx,
                    email=f"{role.value}@outside.example",
                    name=f"Some {role.value}",
                    role=role,
                    now=self.clock.now(),
                )
                self.staff[role.value] = made.id

    async def case(self) -> FollowUpTask:
        task = await self.hears(
            COMMENT, customer="c-maya", block=BLOCK, attributes={"order": "pram-4711"}
        )
        await self.act(task, AddNote(text="She mentioned her illness."))
        return task

    async def shown(self, who: str, path: str) -> frozenset[str] | int:
        """Return which members somebody is shown there, or as what they are refused."""
        async with self.browsing(who) as browser:
            answer = await browser.get(path)
        if answer.status_code != 200:
            return answer.status_code
        return frozenset(name for name, text in MEMBERS.items() if text in answer.text)


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[House]:
    opened = House(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await opened.open_for_business()
    await opened.hire()
    yield opened


async def test_every_role_sees_in_every_place_what_it_needs(house: House) -> None:
    task = await house.case()
    insiders = ("ana", "ole", Role.LEAD.value, Role.ADMIN.value)
    for place, path in places(task).items():
        found = {who: await house.shown(who, path) for who in (*insiders, *OUTSIDE, *AFAR)}
        assert {who: found[who] for who in insiders} == dict.fromkeys(insiders, SEEN[place]), (
            place
        )
        outside = {who: found[who] for who in OUTSIDE}
        assert outside == dict.fromkeys(OUTSIDE, frozenset()), place
        for who in AFAR:
            # Whose first page is another one is sent there; all else is refused.
            assert found[who] in {303, 403}, (place, who)


async def test_outside_the_case_itself_is_there(house: House) -> None:
    task = await house.case()
    async with house.browsing(Role.AUDITOR.value) as browser:
        page = (await browser.get(f"/tasks/{task.id}")).text
        document = (await browser.get(f"/v1/tasks/{task.id}")).json()
        life = (await browser.get(f"/v1/customers/{task.person_ref}")).json()

    assert "Support call" in page
    assert "Only its owner’s team sees this customer." in page
    assert (document["score"], document["flags"]) == (2, ["restricted"])
    assert [line["words"] for line in document["history"]] == [None, None]
    assert life["restricted"] is True
    assert [event["score"] for event in life["events"] if event["kind"] == "answer"] == [2]


async def test_a_number_of_hits_tells_nobody_whose_task_it_is(house: House) -> None:
    await house.case()
    told: dict[str, tuple[bool, int]] = {}
    for who in ("ana", *OUTSIDE):
        async with house.browsing(who) as browser:
            answer = await browser.get("/queue/news?tab=open&q=maya%40example.com&since=")
            listed = (await browser.get("/v1/tasks?q=maya%40example.com")).json()
        told[who] = ("1 new" in answer.text, len(listed["data"]))

    nothing: dict[str, tuple[bool, int]] = {role.value: (False, 0) for role in OUTSIDE}
    assert told == {"ana": (True, 1), **nothing}


async def test_a_head_sees_whom_they_are_drawn_in_for(house: House) -> None:
    task = await house.case()
    head = Role.DEPARTMENT_HEAD.value
    path = f"/tasks/{task.id}"
    assert await house.shown(head, path) == frozenset()

    async with house.database.transaction() as tx:
        told = [(task.id, house.staff[head])]
        await note_escalated(tx, told, at=house.clock.now())

    assert await house.shown(head, path) == SEEN["task"]


async def test_examples_and_themes_show_the_case_and_cover_up_the_customer(
    house: House,
) -> None:
    task = await house.case()
    theme = (await house.rows(mentions))[0]["theme_id"]
    await house.act(task, Close(reason="not_needed", note="done"))
    await house.act(task, ShareExample())

    for path in ("/examples", "/v1/examples", f"/themes/{theme}", f"/v1/themes/{theme}"):
        for who in ("ana", *OUTSIDE):
            assert await house.shown(who, path) == frozenset({"words"}), (path, who)
    for who in (Role.BOARD_MEMBER.value, Role.FINANCE.value):
        assert await house.shown(who, f"/themes/{theme}") == frozenset()
        assert await house.shown(who, "/examples") == 403
