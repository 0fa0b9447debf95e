"""The queue's views, its search and a customer's page, for a browser without scripts."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any

import httpx
import pytest

from services.loop.jobs import IndexWorker
from services.loop.tasks import store
from services.loop.tasks.domain.acts import AddNote, Claim, Snooze, Wait
from services.loop.tasks.domain.task import FollowUpTask, TaskState
from services.loop.tasks.tables import search, tasks
from shared.identity.erasure import erase_person
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from tests.desk import Desk
from tests.follow_up import AGREED
from tests.staff import audited

MAYA: dict[str, Any] = {
    "customer": "c-maya",
    "block": {"name": "Maya Lindqvist", "email": "maya@example.org"},
    "transaction_id": "88-1042",
}
WAITED = "Waited forty minutes & nobody called."


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def leading(desk: Desk, nick: str = "ana") -> Principal:
    """Return somebody as one who may act on every task of the team."""
    return Principal(
        kind="staff",
        id=desk.staff[nick],
        name=nick,
        role=Role.LEAD,
        scopes=ROLE_SCOPES[Role.LEAD],
    )


async def listed(browser: httpx.AsyncClient, **query: Any) -> list[str]:
    """Return the ids that the interface lists."""
    answer = await browser.get("/v1/tasks", params=query)
    assert answer.status_code == 200, answer.text
    return [task["id"] for task in answer.json()["data"]]


def shown(page: httpx.Response) -> list[str]:
    """Return the ids that a page lists."""
    return re.findall(r'<h2>\s*<a href="/tasks/(tsk_\w+)"', page.text)


# ------------------------------------------------------------------ views


async def test_every_view_holds_what_it_is_called(desk: Desk) -> None:
    late = await desk.hears("late", customer="c-1")
    desk.clock.advance(timedelta(hours=9))
    mine = await desk.hears("mine", customer="c-2")
    waiting = await desk.hears("waiting", customer="c-3")
    denied = await desk.hears("denied", customer="c-4")
    escalated = await desk.hears("escalated", customer="c-5")
    await desk.act(mine, Claim(), by=leading(desk))
    await desk.act(waiting, Wait(waiting_for="customer"), by=leading(desk, "ole"))
    async with desk.database.transaction() as tx:
        await tx.execute(
            tasks.update().where(tasks.c.id == denied.id).values(denied_at=desk.clock.now())
        )
        told = [(escalated.id, desk.staff["ana"])] * 2
        await store.note_escalated(tx, told, at=desk.clock.now())

    every = {late.id, mine.id, waiting.id, denied.id, escalated.id}
    expected = {
        "todo": every,
        "mine": {mine.id},
        "team": every - {mine.id},
        "overdue": {late.id},
        "waiting": {waiting.id},
        "denied": {denied.id},
        "escalated": {escalated.id},
        "open": every,
        "closed": set(),
    }
    async with desk.browsing("ana") as browser:
        for name, ids in expected.items():
            page = await browser.get(f"/?tab={name}")
            assert set(shown(page)) == ids, name
            assert set(await listed(browser, view=name)) == ids, name
            if name not in {"closed", "todo"}:
                assert f"({len(ids)})" in page.text, name
        tabs = said(await browser.get("/"))

    assert "Overdue 1" in tabs
    assert "Denied by the customer 1" in tabs
    assert "Escalated to me 1" in tabs


async def test_due_today_ends_at_midnight_of_the_persons_own_clock(desk: Desk) -> None:
    today = await desk.hears("today", customer="c-1")
    desk.clock.advance(timedelta(hours=7))
    await desk.hears("tomorrow", customer="c-2")

    async with desk.browsing("ana") as browser:
        found = await listed(browser, view="today")

    assert found == [today.id]


async def test_a_lead_sees_what_is_late_with_everybody(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)
    await desk.act(task, Claim(), by=leading(desk))
    desk.clock.advance(timedelta(hours=30))

    async with desk.browsing("uwe") as lead, desk.browsing("max") as other:
        assert await listed(lead, view="overdue") == [task.id]
        assert await listed(other, view="overdue") == []


async def test_filters_narrow_a_view_and_are_the_same_for_machines(desk: Desk) -> None:
    gold = await desk.hears("gold", customer="c-1", segment="Gold", product="card", score=1)
    plain = await desk.hears("plain", customer="c-2", score=5)
    csat = await desk.hears("csat", customer="c-3", metric="csat", score=2)
    await desk.act(plain, Claim(), by=leading(desk))

    queries = {
        "segment=Gold": {gold.id},
        "product=card": {gold.id},
        "metric=csat": {csat.id},
        "score=4-6": {plain.id},
        f"owner={desk.staff['ana']}": {plain.id},
        "state=assigned&score=0-3": {gold.id, csat.id},
        "state=waiting_internal": set(),
    }
    async with desk.browsing("ana") as browser:
        for query, ids in queries.items():
            page = await browser.get(f"/?tab=open&{query}")
            assert set(shown(page)) == ids, query
            (json,) = re.findall(r'href="(/v1/tasks[^"]*)"', page.text)
            answer = await browser.get(unescape(json))
            assert {task["id"] for task in answer.json()["data"]} == ids, query


@pytest.mark.parametrize("query", ["view=moon", "score=6-0", "score=11", "metric=sum"])
async def test_a_filter_that_makes_no_sense_is_refused_to_machines(
    desk: Desk, query: str
) -> None:
    async with desk.browsing("ana") as browser:
        answer = await browser.get(f"/v1/tasks?{query}")

    assert answer.status_code == 422
    assert "moon" not in answer.text.replace(str(answer.url), "")


async def test_counters_stop_at_a_thousand(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.lists, "MOST_COUNTED", 2)
    monkeypatch.setattr("services.loop.pages.queue.routes.MOST_COUNTED", 2)
    for n in range(4):
        await desk.hears("words", customer=f"c-{n}")

    async with desk.browsing("ana") as browser:
        page = said(await browser.get("/"))

    assert "My queue (2+)" in page


# ------------------------------------------------------------------ search


@pytest.mark.parametrize(
    "words",
    [
        "minute",
        "MINUTES waiting",
        "lindqvist",
        "maya@example.org",
        "Maya@Example.org",
        "c-maya",
        "88-1042",
        "maya forty",
    ],
)
async def test_a_task_is_found_by_words_that_are_stored_nowhere(desk: Desk, words: str) -> None:
    task = await desk.hears(WAITED, **MAYA)
    await desk.hears("The courier was late.", customer="c-2")

    async with desk.browsing("ana") as browser:
        page = await browser.get("/", params={"q": words})
        found = await listed(browser, q=words)

    assert shown(page) == found == [task.id]
    kept = str(await desk.rows(search))
    for word in ("minut", "maya", "lindqvist", "1042", "courier"):
        assert word not in kept


async def test_every_word_must_be_found(desk: Desk) -> None:
    await desk.hears(WAITED, **MAYA)

    async with desk.browsing("ana") as browser:
        found = await listed(browser, q="maya courier")

    assert found == []


async def test_who_may_not_see_a_customer_does_not_find_them(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)

    async with desk.browsing("max") as other, desk.browsing("uwe") as lead:
        assert await listed(other, q="maya@example.org") == []
        assert await listed(lead, q="maya@example.org") == [task.id]


async def test_who_was_erased_is_found_no_more(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)
    async with desk.database.transaction() as tx:
        await erase_person(tx, task.person_ref, desk.clock.now())

    async with desk.browsing("uwe") as lead:
        assert await listed(lead, q="maya@example.org") == []


async def test_what_a_customer_changed_is_found_as_it_is_now(desk: Desk) -> None:
    event = await desk.response(comment="The courier was late.", **MAYA)
    await desk.take_in(event)
    revised = await desk.response(
        comment="The invoice is wrong.",
        response_id=event.response_id,
        revision=2,
        **MAYA,
    )
    await desk.take_in(revised)

    async with desk.browsing("ana") as browser:
        assert len(await listed(browser, q="invoice")) == 1
        assert await listed(browser, q="courier") == []


async def test_the_id_of_a_task_leads_to_it(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)

    async with desk.browsing("ana") as browser:
        answer = await browser.get("/", params={"q": task.id})

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/tasks/{task.id}"


async def test_tasks_from_before_the_index_become_findable(desk: Desk) -> None:
    early = await desk.hears(WAITED, **MAYA)
    gone = await desk.hears("The courier was late.", customer="c-2")
    async with desk.database.transaction() as tx:
        await tx.execute(search.delete())
        await erase_person(tx, gone.person_ref, desk.clock.now())
    async with desk.browsing("ana") as browser:
        before = await listed(browser, q="lindqvist")

    worker = IndexWorker(desk.loop)
    while await worker.step():
        pass
    async with desk.browsing("ana") as browser:
        after = await listed(browser, q="lindqvist")

    assert (before, after) == ([], [early.id])
    assert {row["task_id"] for row in await desk.rows(search)} == {early.id}
    assert not await worker.step()


# ------------------------------------------------------------------ one customer


async def test_a_customer_is_one_line_of_events_the_latest_first(desk: Desk) -> None:
    task = await desk.hears("=SUM(1)", **MAYA)
    desk.clock.advance(timedelta(hours=1))
    await desk.take_in(await desk.response(comment="All is well.", score=9, **MAYA))
    await desk.act(task, Claim(), by=leading(desk))

    async with desk.browsing("ana") as browser:
        linked = await browser.get(f"/tasks/{task.id}")
        page = await browser.get(f"/customers/{task.person_ref}")
        answers = await browser.get(f"/customers/{task.person_ref}?part=answer")
        file = await browser.get(f"/customers/{task.person_ref}/events.csv")
        document = (await browser.get(f"/v1/customers/{task.person_ref}")).json()

    assert f'href="/customers/{task.person_ref}"' in linked.text
    text = said(page)
    assert text.index("All is well.") < text.index("=SUM(1)")
    assert "Maya Lindqvist" in text
    assert "NPS: 2 → 9" in text
    assert "Claimed" in text
    assert "Claimed" not in said(answers)
    rows = list(csv.DictReader(StringIO(file.text.removeprefix("\ufeff"))))
    assert {row["kind"] for row in rows} == {"answer", "task"}
    assert "'=SUM(1)" in {row["words"] for row in rows}
    assert document["customer"]["name"] == "Maya Lindqvist"
    moments = [event["at"] for event in document["events"]]
    assert moments == sorted(moments, reverse=True)
    assert {event["kind"] for event in document["events"]} == {"answer", "task"}


async def test_another_team_sees_the_events_and_not_the_person(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)

    async with desk.browsing("max") as browser:
        page = await browser.get(f"/customers/{task.person_ref}")
        document = (await browser.get(f"/v1/customers/{task.person_ref}")).json()

    assert "Maya" not in page.text
    assert "forty" not in page.text
    assert "Opened" in said(page)
    assert document["restricted"] is True
    assert document["customer"] is None
    assert "forty" not in str(document)
    assert [event["kind"] for event in document["events"]] != []


async def test_every_look_at_a_customer_is_written_down(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)

    async with desk.browsing("ana") as browser:
        await browser.get(f"/customers/{task.person_ref}")
        await browser.get(f"/v1/customers/{task.person_ref}")
        await browser.get(f"/customers/{task.person_ref}/events.csv")
        unknown = await browser.get("/customers/per_nobody")

    assert unknown.status_code == 404
    seen = await audited(desk.database)
    assert (seen.count("person.viewed"), seen.count("list.exported")) == (1, 1)


# ------------------------------------------------------------------ many at once


async def post(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return await browser.post(path, data=fields, headers=kind)


def picks(*chosen: FollowUpTask) -> dict[str, str]:
    """Return the ticks at these tasks."""
    return {f"pick.{task.id}": str(task.version) for task in chosen}


async def test_several_tasks_are_assigned_after_a_preview_and_taken_back(desk: Desk) -> None:
    one = await desk.hears("one", customer="c-1", block={"name": "First Customer"})
    two = await desk.hears("two", customer="c-2", block={"name": "Second Customer"})
    await desk.act(two, Claim(), by=leading(desk, "ole"))
    fields = {
        "act": "assign",
        "owner": desk.staff["ole"],
        "reason": "He knows them.",
        "back": "/?tab=open",
        **picks(one),
        f"pick.{two.id}": "2",
    }

    async with desk.browsing("ana") as browser:
        preview = await post(browser, "/queue/bulk", stage="preview", **fields)
        untouched = await desk.tasks(response_id=one.response_id)
        done = await post(browser, "/queue/bulk", stage="do", **fields)
        queue = await browser.get(done.headers["location"])
        bent = await browser.get(f"{done.headers['location']}&skipped={'9' * 5_000}")
        (bulk,) = re.findall(r'name="bulk" value="(\w+)"', queue.text)
        assigned = await desk.tasks(response_id=one.response_id)
        back = await post(browser, "/queue/undo", bulk=bulk, back="/?tab=open")
        after = await browser.get(back.headers["location"])
        twice = await post(browser, "/queue/undo", bulk=bulk, back="/?tab=open")

    text = said(preview)
    assert "1 task will be changed." in text
    assert "1 task will be left out" in text
    assert "Second Customer Ole Berg left out: The task has this owner already." in text
    assert untouched[0].version == 1
    assert "1 task was changed. 1 was left out." in said(queue)
    assert bent.status_code == 200
    assert assigned[0].owner.id == desk.staff["ole"]
    assert "It is taken back." in said(after)
    (again,) = await desk.tasks(response_id=one.response_id)
    assert again.owner == one.owner
    assert twice.status_code == 404
    assert (await audited(desk.database))[-2:] == [
        "tasks.changed_in_bulk",
        "tasks.bulk_taken_back",
    ]


async def test_what_was_touched_meanwhile_is_not_taken_back(desk: Desk) -> None:
    task = await desk.hears("one", customer="c-1")
    async with desk.browsing("ana") as browser:
        done = await post(
            browser,
            "/queue/bulk",
            stage="do",
            act="wait",
            note="asked for the receipt",
            **{"for": "customer"},
            **picks(task),
        )
        (bulk,) = re.findall(r"bulk=(\w+)", done.headers["location"])
        await desk.act(task, AddNote(text="called again"), by=leading(desk, "ole"))
        await post(browser, "/queue/undo", bulk=bulk)

    (now,) = await desk.tasks(response_id=task.response_id)
    assert now.state is TaskState.WAITING_CUSTOMER


async def test_it_can_be_taken_back_by_whoever_did_it_and_not_for_ever(desk: Desk) -> None:
    task = await desk.hears("one", customer="c-1")
    close = {"act": "close", "reason": "not_needed", "note": "sent by mistake", "stage": "do"}
    async with desk.browsing("ana") as ana, desk.browsing("ole") as ole:
        done = await post(ana, "/queue/bulk", **close, **picks(task))
        (bulk,) = re.findall(r"bulk=(\w+)", done.headers["location"])
        by_another = await post(ole, "/queue/undo", bulk=bulk)
        desk.clock.advance(timedelta(minutes=11))
        late = await post(ana, "/queue/undo", bulk=bulk)

    assert (by_another.status_code, late.status_code) == (404, 404)
    (now,) = await desk.tasks(response_id=task.response_id)
    assert now.state is TaskState.CLOSED


async def test_whoever_was_promised_something_is_not_closed_in_passing(desk: Desk) -> None:
    task = await desk.hears("one", customer="c-1")
    await desk.act(task, AGREED, by=leading(desk))

    async with desk.browsing("ana") as browser:
        answer = await post(
            browser,
            "/queue/bulk",
            act="close",
            stage="do",
            reason="not_needed",
            note="sent by mistake",
            **{f"pick.{task.id}": "2"},
        )

    assert answer.status_code == 200
    assert "Something was promised to this customer." in said(answer)
    (now,) = await desk.tasks(response_id=task.response_id)
    assert now.is_open


async def test_a_form_for_many_says_what_is_missing(desk: Desk) -> None:
    task = await desk.hears("one", customer="c-1")

    async with desk.browsing("ana") as browser:
        nothing = await post(browser, "/queue/bulk", act="assign")
        empty = await post(browser, "/queue/bulk", act="close", stage="preview", **picks(task))
        unknown = await post(browser, "/queue/bulk", act="confirm", **picks(task))

    assert nothing.status_code == 422
    assert "Choose at least one task" in said(nothing)
    assert empty.status_code == 422
    assert "Please choose one." in said(empty)
    assert unknown.status_code == 404


async def test_a_page_of_two_hundred_is_chosen_at_once(desk: Desk) -> None:
    events = await desk.responses(
        [
            {"comment": "words", "customer": f"c-{n}", "block": {"name": "L" * 120}}
            for n in range(200)
        ]
    )
    await desk.take_in(*events)

    async with desk.browsing("ana") as browser:
        page = await browser.get("/?limit=200&pick=all")
        ticks = dict(re.findall(r'name="(pick\.\w+)" value="(\d+)"', page.text))
        answer = await post(
            browser, "/queue/bulk", act="wait", stage="preview", **{"for": "internal"}, **ticks
        )

    assert len(ticks) == 200
    assert page.text.count(" checked>") == 200
    assert "200 tasks will be changed." in said(answer)


# ------------------------------------------------------------------ saved, put off, counted


async def test_a_view_is_saved_under_a_name_without_what_was_searched_for(desk: Desk) -> None:
    async with desk.browsing("ana") as ana, desk.browsing("ole") as ole:
        back = "/?tab=overdue&score=0-3&q=lindqvist"
        saved = await post(ana, "/queue/views", name="Late and low", back=back)
        mine, theirs = await ana.get("/"), await ole.get("/")
        (view,) = re.findall(r'name="id" value="(viw_\w+)"', mine.text)
        stolen = await post(ole, "/queue/views/delete", id=view)
        nameless = await post(ana, "/queue/views", name=" ", back="/")
        gone = await post(ana, "/queue/views/delete", id=view, back="/?tab=mine")
        empty = await ana.get("/")

    assert saved.headers["location"] == "/?tab=overdue&score=0-3&done=saved"
    assert 'href="/?tab=overdue&amp;score=0-3"><bdi>Late and low' in mine.text
    assert "Late and low" not in theirs.text
    assert stolen.status_code == 404
    assert nameless.headers["location"] == "/?done=unnamed"
    assert gone.headers["location"] == "/?tab=mine&done=forgotten"
    assert "Late and low" not in empty.text


async def test_views_for_everybody_are_made_by_leads_and_stay_few(desk: Desk) -> None:
    async with desk.browsing("uwe") as lead, desk.browsing("ana") as ana:
        refused = await post(ana, "/queue/views", name="All", shared="yes", back="/")
        made = [
            (
                await post(lead, "/queue/views", name=f"View {n}", shared="yes", back="/")
            ).status_code
            for n in range(13)
        ]
        seen = await ana.get("/")

    assert refused.status_code == 403
    assert made == [303] * 12 + [409]
    assert "View 11" in seen.text
    assert "for everybody" in said(seen)
    assert 'action="/queue/views/delete"' not in seen.text


async def test_what_is_put_off_is_out_of_the_way_and_not_lost(desk: Desk) -> None:
    task = await desk.hears("later", customer="c-1")
    await desk.act(task, Snooze(until=desk.clock.now() + timedelta(hours=3)), by=leading(desk))

    async with desk.browsing("ana") as browser:
        away = await listed(browser, view="todo")
        kept = await browser.get("/?tab=open")
    desk.clock.advance(timedelta(hours=4))
    async with desk.browsing("ana") as browser:
        back = await listed(browser, view="todo")

    assert away == []
    assert "put off until" in said(kept)
    assert back == [task.id]


async def test_an_open_page_can_ask_how_many_tasks_have_come(desk: Desk) -> None:
    await desk.hears("before", customer="c-1")

    async with desk.browsing("ana") as browser:
        page = await browser.get("/?tab=team")
        (asking,) = re.findall(r'data-from="([^"]+)"', page.text)
        nothing = await browser.get(unescape(asking))
        await desk.hears("secret words", customer="c-2")
        await desk.hears("secret words", customer="c-3")
        two = await browser.get(unescape(asking))

    assert nothing.text.strip() == ""
    assert "2 new tasks, show" in two.text
    assert 'href="/?tab=team"' in two.text
    assert "secret" not in two.text


async def test_a_page_that_counts_keeps_nobody_signed_in(desk: Desk) -> None:
    async with desk.browsing("ana") as browser:
        counted = []
        for _ in range(7):
            counted.append((await browser.get("/queue/news")).status_code)
            desk.clock.advance(timedelta(minutes=10))
        after = await browser.get("/")

    assert counted[:6] == [200] * 6
    assert after.status_code == 303
    assert after.headers["location"].startswith("/sign-in")
