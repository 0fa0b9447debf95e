"""The pages of working a task and of proving its closure, in a browser: for everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, fields

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from sqlalchemy import insert

from services.loop.tasks.domain.acts import Grant, ShareExample
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME
from services.loop.tasks.domain.task import FollowUpTask, TaskState
from services.loop.tasks.tables import schemes
from tests.adapters.test_closure import AGREED, Closing
from tests.browser.conftest import Office, furnished_office
from tests.browser.looks import (
    DESK,
    PHONE,
    expect_no_broken_rule,
    open_details,
    runs_out_by,
    too_low,
)
from tests.follow_up import TO_RESOLVE

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

SCHEME = {
    **DEFAULT_SCHEME,
    "version": 2,
    "talk_guide": {"en": "Say sorry for the evening lost.\nAsk what would help now."},
    "intended": ["apologise", "repair"],
    "needs": ["order number"],
    "mode": "phone",
    "remedies": [
        {"id": "flowers", "name": "Flowers", "kind": "kind"},
        {"id": "refund", "name": "Full refund of the order", "kind": "money"},
    ],
    "attempts": {
        "number": 3,
        "days": 2,
        "channels": 2,
        "quiet_hours": {"from": "00:00", "to": "23:59"},
    },
}
NAMES = ["worked", "ended", "settled", "confirmed", "expired", "closure", "examples"]


@dataclass
class Bench:
    """An office in which one task is being worked on and others have ended."""

    office: Office
    paths: dict[str, str]
    asked: FollowUpTask
    desk: Closing


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def bench(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    async with furnished_office(browser, tmp_path_factory.mktemp("bench")) as office:
        old = office.desk
        desk = Closing(**{each.name: getattr(old, each.name) for each in fields(old)})
        async with desk.database.transaction() as tx:
            await tx.execute(
                insert(schemes).values(
                    id="standard",
                    version=2,
                    document=SCHEME,
                    published_at=desk.clock.now(),
                    published_by="test",
                )
            )
        worked = await desk.hears("Nobody came.", customer="w-1", block=AGREED)
        await desk.does(worked, Grant(remedy="flowers"))
        ended = [
            await desk.does(
                await desk.hears("Late again.", customer=f"e-{n}", block=AGREED), *TO_RESOLVE
            )
            for n in range(12)
        ]
        await desk.does(ended[0], ShareExample())
        async with desk.browsing() as customer:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            for task in ended[1:8]:
                await customer.post(desk.link(task), data={"answer": "yes"}, headers=kind)
        expired = desk.link(ended[8], expires_at=desk.clock.now())
        yield Bench(
            office=office,
            desk=desk,
            asked=ended[9],
            paths={
                "worked": f"/tasks/{worked.id}",
                "ended": f"/tasks/{ended[0].id}",
                "settled": desk.link(ended[10]),
                "confirmed": desk.link(ended[1]),
                "expired": expired,
                "closure": "/closure",
                "examples": "/examples",
            },
        )


def who(name: str) -> str | None:
    """Return who opens a page: customers have no account."""
    return None if name in {"settled", "confirmed", "expired"} else "ana"


@pytest.mark.parametrize("name", NAMES)
async def test_the_pages_break_no_rule_of_accessibility(bench: Bench, name: str) -> None:
    page = await bench.office.page(who(name), viewport=DESK)

    await page.goto(bench.paths[name])
    await open_details(page)
    await expect_no_broken_rule(page)
    await page.context.close()


@pytest.mark.parametrize("name", NAMES)
async def test_nothing_runs_out_of_a_phone_and_targets_are_large(
    bench: Bench, name: str
) -> None:
    page = await bench.office.page(who(name), viewport=PHONE, has_touch=True)

    await page.goto(bench.paths[name])
    await open_details(page)
    beyond = await runs_out_by(page)
    assert beyond <= 0
    assert await too_low(page) == []
    await page.context.close()


async def test_a_customer_answers_by_keyboard_alone_and_without_a_script(
    bench: Bench,
) -> None:
    page = await bench.office.page(java_script_enabled=False, viewport=PHONE)
    await page.goto(bench.desk.link(bench.asked))

    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Thank you").wait_for()

    (task,) = await bench.desk.tasks(response_id=bench.asked.response_id)
    assert task.state is TaskState.CONFIRMED
    await page.context.close()


async def test_words_clock_and_guide_fit_the_first_screen(bench: Bench) -> None:
    page = await bench.office.page("ana", viewport=DESK)
    await page.goto(bench.paths["worked"])

    for part in (".clocks", "#words-title", "#guide-title"):
        box = await page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= DESK["height"], part
    await page.context.close()
