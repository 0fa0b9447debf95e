"""How promises were kept, as a page and as files; examples as a file without customers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO

import httpx
from sqlalchemy import select

from services.loop.tasks.domain.acts import ShareExample
from shared.identity.tables import audit
from tests.adapters.test_closure import FORM, Closing
from tests.adapters.test_examples import MAYA, SECRETS, WORK, said
from tests.follow_up import TO_RESOLVE

HOUR = timedelta(hours=1)


DESK = Closing


def rows_of(answer: httpx.Response) -> Sequence[dict[str, str]]:
    """Read a file as a spreadsheet does."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.text.startswith("\ufeff")
    return list(csv.DictReader(StringIO(answer.text.removeprefix("\ufeff"))))


async def test_the_page_says_how_often_promises_were_kept(desk: Closing) -> None:
    async with desk.browsing("bea") as browser:
        empty = await browser.get("/service-levels")
    await desk.hears("late", customer="c-1")
    desk.clock.advance(2 * HOUR)
    await desk.resolved()
    desk.clock.advance(30 * HOUR)
    async with desk.browsing("bea") as browser:
        full = await browser.get("/service-levels?weeks=4")
        file = await browser.get("/service-levels.csv?weeks=4")

    assert empty.status_code == full.status_code == 200
    assert "No tasks in this period" in empty.text
    assert "<table" not in empty.text
    shown = said(full)
    assert "24 hours 2 tasks" in shown
    assert "Resolution too few – 1 of 2" in shown
    assert "Ana Ruiz" not in shown
    contact, resolution = rows_of(file)
    assert (contact["scheme"], contact["promise"]) == ("standard", "first_contact")
    assert (resolution["decided"], resolution["on_time"], resolution["share"]) == (
        "2",
        "1",
        "0.5",
    )
    assert resolution["team_median_seconds"] == ""


async def test_the_rates_are_a_file_with_their_numbers(desk: Closing) -> None:
    await desk.resolved()
    await desk.hears("late", customer="c-1")
    async with desk.browsing("uwe") as browser:
        page = await browser.get("/closure")
        found = rows_of(await browser.get("/closure.csv?touchpoint=support-call"))

    assert 'href="/closure.csv?weeks=12"' in page.text
    assert 'href="/service-levels?weeks=12"' in page.text
    rates = {row["what"]: (row["count"], row["of"]) for row in found}
    assert rates == {
        "contacted": ("1", "2"),
        "closed_by_staff": ("1", "2"),
        "confirmed_by_customer": ("0", "2"),
        "saved": ("0", "0"),
        "avoidable": ("1", "1"),
    }
    (saved,) = [row for row in found if row["what"] == "saved"]
    assert (saved["share"], saved["pending"]) == ("", "1")


async def test_examples_are_a_file_without_the_customers(desk: Closing) -> None:
    task = await desk.hears(
        "=SUM(1) says Maya Lindqvist, order 88-1042.",
        customer="c-1",
        block=MAYA,
        transaction_id="T-4711",
        attributes={"order": "88-1042"},
    )
    await desk.does(task, *WORK, ShareExample())
    async with desk.browsing("max") as browser:
        page = await browser.get("/examples")
        answer = await browser.get("/examples.csv")
        none = await browser.get("/examples.csv?theme=no-such-theme")

    assert 'href="/examples.csv"' in page.text
    (row,) = rows_of(answer)
    assert row["task_id"] == task.id
    assert row["comment"].startswith("'=SUM(1) says [name]")
    assert "Ask before Friday" in row["lesson"]
    assert [secret for secret in SECRETS if secret in answer.text] == []
    assert rows_of(none) == []
    async with desk.database.reading() as view:
        trail = await view.all(select(audit).where(audit.c.action == "list.exported"))
    assert [(line.subject, line.detail["examples"]) for line in trail] == [
        ("examples", 1),
        ("examples", 0),
    ]


async def test_themes_and_touchpoints_are_files_too(desk: Closing) -> None:
    """What the page shows, row by row, and what it is narrowed to."""
    await desk.hears("I waited for forty minutes in the queue", customer="c-1")
    await desk.hears("=1+1", customer="c-2", touchpoint="=cmd")
    async with desk.browsing("uwe") as browser:
        themes = rows_of(await browser.get("/themes.csv?days=7"))
        narrowed = rows_of(await browser.get("/themes.csv?days=7&touchpoint=door"))
        page = await browser.get("/settings/touchpoints?show=unmapped")
        places = rows_of(await browser.get("/settings/touchpoints.csv"))
        unmapped = rows_of(await browser.get("/settings/touchpoints.csv?show=unmapped"))

    assert themes
    assert {(row["mentions"], row["unhappy"]) for row in themes} == {("1", "1")}
    assert {row["comments"] for row in themes} == {"2"}
    assert narrowed == []
    assert 'href="/settings/touchpoints.csv?show=unmapped"' in page.text
    assert {row["code"] for row in places} == {"support-call", "door", "'=cmd"}
    assert [(row["code"], row["described"]) for row in unmapped] == [("'=cmd", "no")]


async def test_figures_are_for_those_who_may_read_them(desk: Closing) -> None:
    async with desk.browsing("dev") as browser:
        for path in ("/service-levels", "/service-levels.csv", "/closure.csv", "/examples.csv"):
            assert (await browser.get(path)).status_code == 403, path


async def test_the_end_says_how_it_is_known_and_what_it_was_worth(desk: Closing) -> None:
    """By form and over the interface; the sums stand beside the rates."""
    *before, _ = TO_RESOLVE
    first = await desk.does(await desk.hears("late", customer="c-1"), *before)
    second = await desk.does(await desk.hears("late", customer="c-2"), *before)
    form = {
        "outcome": "solved",
        "content": "yes",
        "content_known_by": "survey",
        "cause_area": "process",
        "cause": "No notice is sent.",
        "avoidable": "no",
        "kept_customer": "yes",
        "amount": "1240,50",
        "currency": "eur",
    }
    async with desk.browsing("ana") as browser:
        wrong = await browser.post(
            f"/tasks/{first.id}/resolve", data={**form, "currency": ""}, headers=FORM
        )
        assert wrong.status_code == 422
        assert "Please give amount and currency, or neither." in wrong.text
        done = await browser.post(f"/tasks/{first.id}/resolve", data=form, headers=FORM)
        assert done.status_code == 303, done.text
        shown = said(await browser.get(f"/tasks/{first.id}"))
        body = {
            "outcome": "partly",
            "root_cause": {"area": "people", "text": "Nobody called back."},
            "content": "unknown",
            "content_known_by": "said",
            "avoidable": "unknown",
            "benefits": ["kept_customer", "idea"],
            "worth": {"amount": "10", "currency": "EUR"},
        }
        posted = await browser.post(f"/v1/tasks/{second.id}/resolve", json=body)
        assert posted.status_code == 200, posted.text
    assert "How is it known? The customer was asked later" in shown
    assert "What it was worth 1,240.50 EUR" in shown
    outcome = posted.json()["outcome"]
    assert outcome["worth"] == {"amount": "10", "currency": "EUR"}
    assert outcome["content_known_by"] == "none", "what nobody knows is known by no way"

    async with desk.browsing("bea") as browser:
        page = said(await browser.get("/closure"))
        found = (await browser.get("/v1/closure-rates")).json()["learned"]
        theme = posted.json()["themes"][0]["id"]
        of_it = (await browser.get(f"/v1/closure-rates?theme={theme}")).json()["learned"]
        of_none = (await browser.get("/v1/closure-rates?theme=weather")).json()["learned"]
    assert (of_it, of_none["resolved"]) == (found, 0)
    assert found["resolved"] == 2
    assert found["causes"] == {"people": 1, "process": 1, "customer": 0, "finance": 0}
    assert (found["avoidable"]["count"], found["avoidable"]["n"]) == (0, 1)
    assert found["avoidable_unknown"] == 1
    assert found["benefits"]["kept_customer"] == 2
    assert found["worth"] == [{"amount": "1250.50", "currency": "EUR"}]
    assert "What 2 resolved tasks say" in page
    assert "What it was worth 1,250.50 EUR" in page


async def test_the_customers_yes_is_how_contentment_is_known(desk: Closing) -> None:
    task = await desk.resolved()
    async with desk.browsing() as browser:
        await browser.post(desk.link(task), data={"answer": "yes"}, headers=FORM)

    resolution = (await desk.now_of(task)).record.resolution
    assert resolution is not None
    assert (resolution.content, resolution.content_known_by) == ("yes", "survey")
