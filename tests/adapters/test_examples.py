"""Praise that reaches whoever earned it, and examples that hold no customer."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.acts import (
    Agree,
    LogContact,
    Recognise,
    Reopen,
    Resolve,
    ShareExample,
)
from shared.events.loop import TaskRecognised
from shared.identity.erasure import erase_person
from shared.identity.keys import create_key
from shared.identity.principal import Scope
from tests.adapters.test_closure import Closing
from tests.follow_up import ELIMINATED

MAYA: dict[str, Any] = {
    "name": "Maya Lindqvist",
    "email": "maya.l@example.org",
    "phone": "+46 70 123 45 67",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SECRETS = ("Maya", "Lindqvist", "maya.l@", "123 45 67", "88-1042", "T-4711")
WORK = (
    LogContact(mode="phone", result="reached", note="Maya wants order 88-1042 by Friday"),
    Agree(agreed="Lindqvist gets a new one", asked_for="a call to +46 70 123 45 67"),
    ELIMINATED,
    Resolve(
        outcome="solved",
        cause_area="process",
        cause="T-4711 was never packed, mailed maya.l@example.org",
        content="yes",
        avoidable="yes",
        lesson="Ask before Friday",
    ),
)


DESK = Closing


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def worked(desk: Closing, customer: str = "c-1", **members: Any) -> Any:
    task = await desk.hears(
        "I am Maya Lindqvist and the driver came late, order 88-1042.",
        customer=customer,
        block=MAYA,
        transaction_id="T-4711",
        attributes={"order": "88-1042"},
        **members,
    )
    return await desk.does(task, *WORK)


async def listed(desk: Closing, **query: str) -> list[dict[str, Any]]:
    async with desk.database.transaction() as tx:
        scopes = frozenset({Scope.TASKS_READ})
        _, plain = await create_key(
            tx, source="bi", name="bi", scopes=scopes, now=desk.clock.now()
        )
    async with desk.browsing() as browser:
        headers = {"Authorization": f"Bearer {plain}"}
        answer = await browser.get("/v1/examples", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_an_example_holds_no_name_no_address_and_no_number(desk: Closing) -> None:
    task = await worked(desk)
    await desk.does(task, ShareExample())

    (example,) = await listed(desk)
    async with desk.browsing("max") as browser:
        page = await browser.get("/examples")

    assert example["comment"] == "I am [name] and the driver came late, order [number]."
    assert {one["kind"] for one in example["told"]} == {
        "note",
        "asked_for",
        "agreed",
        "root_cause",
        "lesson",
    }
    assert "Ask before Friday" in said(page)
    for secret in SECRETS:
        assert secret not in repr(example)
        assert secret not in page.text


async def test_examples_are_found_by_theme(desk: Closing) -> None:
    task = await desk.does(await worked(desk), ShareExample())
    (example,) = await listed(desk)
    theme = example["themes"][0]

    assert [one["task_id"] for one in await listed(desk, theme=theme)] == [task.id]
    assert await listed(desk, theme="no-such-theme") == []
    assert [one["task_id"] for one in await listed(desk, touchpoint="support-call")] == [
        task.id
    ]
    assert await listed(desk, touchpoint="door") == []
    async with desk.browsing("ana") as browser:
        other = await browser.get("/examples?theme=no-such-theme")
        theme_page = await browser.get(f"/themes/{theme}")
    assert "No examples yet" in said(other)
    assert f'href="/examples?theme={theme}"' in theme_page.text


async def test_what_is_open_again_or_taken_back_is_no_example(desk: Closing) -> None:
    one = await desk.does(await worked(desk, "c-1"), ShareExample())
    two = await desk.does(await worked(desk, "c-2"), ShareExample())
    assert len(await listed(desk)) == 2

    await desk.does(one, ShareExample(shared=False))
    await desk.does(two, Reopen(reason="not yet"))

    assert await listed(desk) == []


async def test_of_somebody_who_was_erased_no_words_are_left(desk: Closing) -> None:
    task = await desk.does(await worked(desk), ShareExample())
    async with desk.database.transaction() as tx:
        await erase_person(tx, task.person_ref, desk.clock.now())

    (example,) = await listed(desk)

    assert (example["comment"], example["told"]) == (None, [])
    assert example["outcome"] == "solved"


async def test_the_page_marks_an_example_and_takes_it_back(desk: Closing) -> None:
    task = await worked(desk)

    async with desk.browsing("ana") as browser:
        fields = {"version": str(task.version), "shared": "yes"}
        marked = await browser.post(f"/tasks/{task.id}/example", data=fields, headers=FORM)
        page = await browser.get(marked.headers["location"])
        assert len(await listed(desk)) == 1
        fields = {"version": str(task.version + 1)}
        await browser.post(f"/tasks/{task.id}/example", data=fields, headers=FORM)

    assert "A good example" in said(page)
    assert await listed(desk) == []


async def test_praise_reaches_whoever_earned_it_also_after_the_end(desk: Closing) -> None:
    task = await worked(desk)
    ole = OwnerRef(id=desk.staff["ole"], kind="person")

    async with desk.browsing("ana") as browser:
        fields = {"version": str(task.version), "owner": ole.id, "note": "well done"}
        sent = await browser.post(f"/tasks/{task.id}/recognitions", data=fields, headers=FORM)
        page = said(await browser.get(sent.headers["location"]))
        own = {"version": str(task.version + 1), "owner": desk.staff["ana"]}
        refused = await browser.post(f"/tasks/{task.id}/recognitions", data=own, headers=FORM)

    assert "Praise passed on · Ole Berg" in page
    assert refused.status_code == 409
    (event,) = await desk.events(TaskRecognised)
    assert (event.to.id, event.recognised_by) == (ole.id, desk.staff["ana"])
    again = await desk.does(task, Recognise(owner=ole))
    assert len(again.record.recognitions) == 2
