"""The pages as a browser without scripts meets them: forms, redirects, rights, words."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from io import StringIO

import httpx
import pytest

from services.loop.tasks.domain.task import FollowUpTask, TaskState
from shared.identity.erasure import erase_person
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from shared.web.templating import AREAS, home_of
from tests.desk import HOSTILE, Desk

MAYA = {"customer": "c-maya", "block": {"name": "Maya Lindqvist", "phone": "+46 70 000"}}
WAITED = "Waited forty minutes & nobody called."


async def send(
    browser: httpx.AsyncClient, task: FollowUpTask, name: str, **fields: str
) -> httpx.Response:
    """Send one of a task's forms."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return await browser.post(f"/tasks/{task.id}/{name}", data=fields, headers=kind)


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def now_of(desk: Desk, task: FollowUpTask) -> FollowUpTask:
    return (await desk.tasks(response_id=task.response_id))[0]


# ------------------------------------------------------------------ who gets in


@pytest.mark.parametrize("path", ["/", "/queue.csv", "/themes", "/tasks/tsk_1", "/?tab=open"])
async def test_who_is_not_signed_in_is_asked_to(desk: Desk, path: str) -> None:
    async with desk.browsing() as browser:
        answer = await browser.get(path)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=%2F")


@pytest.mark.parametrize("who", ["bea", "dev"])
async def test_who_has_no_tasks_begins_with_the_themes(desk: Desk, who: str) -> None:
    async with desk.browsing(who) as browser:
        start = await browser.get("/")
        refused = [
            (await browser.get(path)).status_code for path in ("/queue.csv", "/tasks/tsk_1")
        ]
        themes = await browser.get("/themes")

    assert (start.status_code, start.headers["location"]) == (303, "/themes")
    assert refused == [403, 403]
    assert themes.status_code == 200
    assert re.findall(r'<nav class="areas".*?</nav>', themes.text, flags=re.DOTALL)
    assert "My queue" not in themes.text
    assert 'href="/mail"' not in themes.text


@pytest.mark.parametrize("role", list(Role))
def test_everybody_begins_where_they_may_be(role: Role) -> None:
    person = Principal(kind="staff", id="stf_1", name=role, scopes=ROLE_SCOPES[role], role=role)
    homes = {area.path for area in AREAS if person.may(area.scope)}

    assert home_of(person) in homes
    assert home_of(replace(person, scopes=frozenset())) == "/docs"


async def test_another_team_sees_the_task_and_not_the_customer(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)

    async with desk.browsing("max") as browser:
        queue = await browser.get("/?tab=open")
        page = await browser.get(f"/tasks/{task.id}")
        act = await send(browser, task, "claim", version="1")

    for shown in (queue, page):
        assert shown.status_code == 200
        assert "Maya" not in shown.text
        assert "forty" not in shown.text
        assert "Only its owner" in said(shown)
    assert '<form method="post" action="/tasks/' not in page.text
    assert act.status_code == 403
    assert (await now_of(desk, task)).version == 1


async def test_another_site_cannot_send_our_forms(desk: Desk) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing("ana") as browser:
        browser.headers["Origin"] = "https://elsewhere.example"
        answer = await send(browser, task, "claim", version="1")

    assert answer.status_code == 403
    assert not (await now_of(desk, task)).is_claimed


# ------------------------------------------------------------------ the queue


async def test_what_breaks_first_stands_first_with_the_customers_words(desk: Desk) -> None:
    await desk.hears("The later one.", customer="c-2")
    desk.clock.advance(timedelta(hours=-3))
    await desk.hears(WAITED, **MAYA)
    desk.clock.advance(timedelta(hours=3))

    async with desk.browsing("ana") as browser:
        text = said(await browser.get("/"))

    assert text.index("forty minutes & nobody") < text.index("The later one.")
    assert "My queue (2)" in text
    assert "customer waits 3 hrs" in text
    assert "Maya Lindqvist" in text


async def test_late_is_a_word(desk: Desk) -> None:
    await desk.hears(WAITED, **MAYA)
    desk.clock.advance(timedelta(hours=9))

    async with desk.browsing("ana") as browser:
        text = said(await browser.get("/"))

    assert "First contact: 1 hr late" in text


async def test_an_empty_queue_offers_what_the_team_has(desk: Desk) -> None:
    async with desk.browsing("ana") as browser:
        empty = said(await browser.get("/"))
        await desk.hears(WAITED)
        mine = await browser.get("/?tab=mine")

    assert "Nothing due" in empty
    assert "See 1 unclaimed task" in said(mine)
    assert 'href="/?tab=team"' in mine.text


async def test_filters_are_in_the_address_and_nonsense_in_it_is_forgiven(desk: Desk) -> None:
    await desk.hears("Waited an hour in the queue.", customer="c-1", score=1)
    await desk.hears("The courier was late.", customer="c-2", score=5, touchpoint="door")
    await desk.hears(None, customer="c-3", score=None, sentiment="negative")

    async with desk.browsing("ana") as browser:

        async def shown(query: str) -> str:
            return said(await browser.get(f"/?{query}"))

        at_the_door = await shown("touchpoint=door")
        low = await shown("score=0-3")
        unscored = await shown("score=none")
        themed = await shown("theme=waiting")
        nothing = await shown("touchpoint=moon")
        nonsense = await shown("tab=x&score=99&cursor=")

    assert "courier" in at_the_door
    assert "an hour" not in at_the_door
    assert "an hour" in low
    assert "courier" not in low
    assert "no score" in unscored
    assert "courier" not in unscored
    assert "an hour" in themed
    assert "Nothing fits this filter" in nothing
    assert "an hour" in nonsense
    assert "courier" in nonsense


async def test_long_queues_have_pages(desk: Desk) -> None:
    events = await desk.responses(
        [{"comment": f"words number {n}", "customer": f"c-{n}"} for n in range(60)]
    )
    await desk.take_in(*events)

    async with desk.browsing("ana") as browser:
        first = await browser.get("/")
        (following,) = re.findall(r'href="([^"]+)" rel="next"', first.text)
        second = await browser.get(unescape(following))

    numbers = [set(re.findall(r"words number (\d+)", page.text)) for page in (first, second)]
    assert [len(found) for found in numbers] == [50, 10]
    assert not numbers[0] & numbers[1]
    assert 'rel="prev"' in second.text


async def test_the_same_rows_come_as_a_file_in_which_words_are_no_formulas(desk: Desk) -> None:
    await desk.hears('=HYPERLINK("https://elsewhere.example")', **MAYA)

    async with desk.browsing("ana") as browser:
        answer = await browser.get("/queue.csv?score=0-3")

    (row,) = csv.DictReader(StringIO(answer.text.removeprefix("\ufeff")))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert row["customer"] == "Maya Lindqvist"
    assert row["words"].startswith("'=")


async def test_claiming_from_the_queue_leads_back_to_it(desk: Desk) -> None:
    task = await desk.hears(WAITED, touchpoint="door")

    async with desk.browsing("ana") as browser:
        answer = await send(browser, task, "claim", version="1", back="/?touchpoint=door")
        there = await browser.get(answer.headers["location"])
        away = await desk.hears(WAITED, customer="c-2")
        elsewhere = await send(
            browser, away, "claim", version="1", back="https://elsewhere.example/"
        )

    assert answer.status_code == 303
    assert answer.headers["location"] == "/?touchpoint=door&done=claim"
    assert "The task is yours now." in said(there)
    assert elsewhere.headers["location"] == f"/tasks/{away.id}?done=claim"


# ------------------------------------------------------------------ one task


async def test_a_task_shows_the_words_with_their_evidence(desk: Desk) -> None:
    task = await desk.hears("All was fine but we waited two hours in the queue.", **MAYA)

    async with desk.browsing("ana") as browser:
        page = await browser.get(f"/tasks/{task.id}")

    assert re.search(r"<mark>[^<]*wait[^<]*<sup>\d</sup></mark>", page.text)
    assert "Waiting" in said(page)
    assert "+46 70 000" in page.text
    assert "Not known: e-mail address, segment and product" in said(page)
    assert "a contact in which the customer was reached" in said(page)
    assert page.headers["cache-control"] == "no-store"


async def test_a_hostile_comment_is_text(desk: Desk) -> None:
    task = await desk.hears(HOSTILE, customer="c-1", block={"name": "<b>Mallory</b>"})

    async with desk.browsing("ana") as browser:
        pages = [await browser.get(path) for path in ("/", f"/tasks/{task.id}")]

    for page in pages:
        assert "<script>" not in page.text
        assert "<b>Mallory" not in page.text
        assert "&lt;script&gt;" in page.text
        assert "{{ 7*7 }}" in unescape(page.text)
        assert "javascript:" not in "".join(
            re.findall(r'(?:href|src|action)="[^"]*"', page.text)
        )


async def test_from_claim_to_resolved_by_forms_alone(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)

    async with desk.browsing("ana") as browser:
        page = await browser.get(f"/tasks/{task.id}")
        for name, fields in (
            ("claim", {}),
            (
                "contacts",
                {
                    "mode": "phone",
                    "result": "reached",
                    "note": "Said sorry.\r\nShe was kind.",
                    "emotion_before": "angry",
                    "emotion_after": "calm",
                    "next_contact_at": "2026-03-03T14:30",
                },
            ),
            ("steps", {"step": "empathise"}),
            ("agreement", {"asked_for": "a call", "agreed": "a call on Tuesday"}),
            ("actions", {"what": "call her", "owner": "me", "due_at": "2026-03-03T12:00"}),
            ("done", {"n": "1"}),
            (
                "resolve",
                {
                    "outcome": "solved",
                    "cause_area": "process",
                    "cause": "Too few at the phones.",
                    "content": "yes",
                    "avoidable": "yes",
                    "lesson": "Plan Mondays.",
                },
            ),
        ):
            version = str((await now_of(desk, task)).version)
            answer = await send(browser, task, name, version=version, **fields)
            assert answer.status_code == 303, said(answer)
            page = await browser.get(answer.headers["location"])
        text = said(page)

    done = await now_of(desk, task)
    assert done.state is TaskState.RESOLVED
    assert done.owner.id == desk.staff["ana"]
    assert done.record.attempts[0].next_contact_at is not None
    # What is typed is on the person's own clock: Berlin, in winter.
    assert done.record.attempts[0].next_contact_at.isoformat() == "2026-03-03T13:30:00+00:00"
    assert "The task is resolved." in text
    for words in (
        "Said sorry.",
        "a call on Tuesday",
        "Too few at the phones.",
        "Plan Mondays.",
    ):
        assert words in text
    assert "Open again" in text


async def test_a_wrong_form_keeps_what_was_typed_and_says_what_to_correct(desk: Desk) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing("ana") as browser:
        answer = await send(
            browser,
            task,
            "contacts",
            version="1",
            mode="pigeon",
            note="my long <note>",
            next_contact_at="tomorrow",
        )

    assert answer.status_code == 422
    assert "This was not saved." in said(answer)
    assert "my long &lt;note&gt;</textarea>" in answer.text
    for name in ("mode", "result", "next_contact_at"):
        assert f'href="#contacts-{name}"' in answer.text
        assert f'id="contacts-{name}"' in answer.text
    assert (await now_of(desk, task)).version == 1


async def test_what_is_missing_before_resolving_is_named(desk: Desk) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing("ana") as browser:
        answer = await send(
            browser,
            task,
            "resolve",
            version="1",
            outcome="solved",
            cause_area="people",
            cause="kept words",
            content="unknown",
            avoidable="no",
        )

    assert answer.status_code == 409
    assert (
        "Something is missing before this can be resolved: a contact in which the customer was"
        " reached, what was agreed with the customer (V) and that the solution was carried out"
        " (E)." in said(answer)
    )
    assert "kept words" in answer.text


async def test_who_saves_over_a_colleagues_change_sees_both(desk: Desk) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing("ole") as other:
        await send(other, task, "notes", version="1", text="I am calling her now.")
    async with desk.browsing("ana") as browser:
        answer = await send(browser, task, "notes", version="1", text="What I typed.")
        (version,) = set(re.findall(r'name="version" value="(\d+)"', answer.text))
        again = await send(browser, task, "notes", version=version, text="What I typed.")

    assert answer.status_code == 412
    assert "Somebody changed this task while you were writing." in said(answer)
    assert "Ole Berg: Note" in said(answer)
    assert "I am calling her now." in said(answer)
    assert "What I typed.</textarea>" in answer.text
    assert again.status_code == 303


async def test_the_second_to_claim_hears_that_somebody_was_faster(desk: Desk) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing("ole") as first:
        await send(first, task, "claim")
    async with desk.browsing("ana") as second:
        answer = await send(second, task, "claim")

    assert answer.status_code == 409
    assert "Somebody has taken this task already." in said(answer)


async def test_assigning_names_a_colleague_or_a_team(desk: Desk) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing("ana") as browser:
        nobody = await send(browser, task, "assign", owner="stf_nobody", reason="x")
        ole = await send(
            browser, task, "assign", owner=desk.staff["ole"], reason="He knows her."
        )
        page = said(await browser.get(ole.headers["location"]))

    assert nobody.status_code == 422
    assert (await now_of(desk, task)).owner.id == desk.staff["ole"]
    assert "Assigned · Ole Berg" in page
    assert "He knows her." in page


async def test_a_task_can_wait_go_on_be_closed_and_be_opened_again(desk: Desk) -> None:
    task = await desk.hears(WAITED)
    states = []

    async with desk.browsing("ana") as browser:
        for name, fields in (
            ("wait", {"for": "customer", "until": "2026-03-04T10:00", "note": "She calls."}),
            ("resume", {}),
            ("close", {"reason": "not_needed", "note": "Sent by mistake."}),
            ("reopen", {"reason": "It was not."}),
        ):
            answer = await send(browser, task, name, **fields)
            assert answer.status_code == 303, said(answer)
            states.append((await now_of(desk, task)).state)
        unreachable = await send(browser, task, "close", reason="unreachable", note="x")

    assert states == ["waiting_customer", "in_progress", "closed", "in_progress"]
    assert unreachable.status_code == 409
    assert "More tries are needed" in said(unreachable)


async def test_an_erased_customer_leaves_a_task_without_words(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)
    async with desk.database.transaction() as tx:
        await erase_person(tx, task.person_ref, now=desk.clock.now())

    async with desk.browsing("ana") as browser:
        queue = said(await browser.get("/"))
        page = await browser.get(f"/tasks/{task.id}")

    assert "Erased customer" in queue
    assert page.status_code == 200
    assert "words were erased" in said(page)
    assert "Maya" not in page.text


@pytest.mark.parametrize(
    ("path", "method"),
    [("/tasks/tsk_none", "GET"), ("/themes/none", "GET"), ("/tasks/tsk_none/claim", "POST")],
)
async def test_what_there_is_not_is_a_page_that_says_so(
    desk: Desk, path: str, method: str
) -> None:
    async with desk.browsing("ana") as browser:
        answer = await browser.request(
            method, path, data={} if method == "POST" else None,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )  # fmt: skip

    assert answer.status_code == 404
    assert "Not found" in answer.text
    assert "Back to the start" in answer.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"note=%ff", "application/x-www-form-urlencoded", 400),
        (b"note=%00", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(400)), "application/x-www-form-urlencoded", 400),
        (b"note=" + b"x" * 300_000, "application/x-www-form-urlencoded", 413),
        (b"note=" + b"x" * 6_000 + b"&mode=phone&result=reached",
         "application/x-www-form-urlencoded", 422),
    ],
)  # fmt: skip
async def test_forms_that_no_browser_sends_are_refused(
    desk: Desk, body: bytes, kind: str, status: int
) -> None:
    task = await desk.hears(WAITED)

    async with desk.browsing("ana") as browser:
        answer = await browser.post(
            f"/tasks/{task.id}/contacts", content=body, headers={"Content-Type": kind}
        )

    assert answer.status_code == status
    assert (await now_of(desk, task)).version == 1


# ------------------------------------------------------------------ languages


async def test_pages_speak_the_language_of_the_person(desk: Desk) -> None:
    task = await desk.hears(WAITED, **MAYA)

    async with desk.browsing("uwe") as browser:
        queue = await browser.get("/")
        page = said(await browser.get(f"/tasks/{task.id}"))
        themes = said(await browser.get("/themes"))
        wrong = said(await send(browser, task, "notes", text=""))
        missing = said(await browser.get("/tasks/tsk_none"))

    assert '<html lang="de">' in queue.text
    assert queue.headers["content-language"] == "de"
    assert "Meine Aufgaben (1)" in said(queue)
    assert "Erster Kontakt" in page
    assert "Kontakt festhalten" in page
    assert "Kontaktpunkt" in themes
    assert "Bitte füllen Sie dieses Feld aus." in wrong
    assert "Nicht gefunden" in missing


async def test_who_is_not_signed_in_is_spoken_to_as_the_browser_asks(desk: Desk) -> None:
    async with desk.browsing() as browser:
        browser.headers["Accept-Language"] = "fr, de-AT;q=0.8, en;q=0.5"
        german = await browser.get("/sign-in")
        browser.headers["Accept-Language"] = "fr"
        english = await browser.get("/sign-in")

    assert "Passwort" in german.text
    assert "Password" in english.text
