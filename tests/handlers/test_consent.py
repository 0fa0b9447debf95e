"""What a customer asked not to be done is honoured wherever a message to them can arise."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.loop.jobs import TimerWorker
from services.notify.domain.deliveries import Channel
from shared.consent import Refusal, allowed_in, refused_in, why_not_write
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.identity.tables import contact_refusals
from shared.identity.wishes import Said, note_wishes, refusals_of
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.follow_up import SOLVED
from tests.notices import House
from tests.shop import Shop

ROOT = Path(__file__).parents[2]
ADDRESS = "maya@example.com"
WILLING = {"name": "Maya", "email": ADDRESS, "consent": {"follow_up": True}}
LEFT_ALONE = {"name": "Maya", "email": ADDRESS, "do_not_contact": True}
UNWILLING = {"name": "Maya", "email": ADDRESS, "consent": {"follow_up": False}}

# Where the program reads an address or a number of a customer in order to have them reached.
# A new place belongs here, with how it asks first.
PLACES: Mapping[str, str] = {
    "shared/consent.py": "why_not_write itself: loop asks it at the resolution",
    "services/notify/domain/customers.py": "why_not_asked, at the sending",
    "services/notify/channels/texts.py": "a mail to staff: no link to dial, and says why",
    "services/loop/pages/shapes.py": "may_be_contacted: no link to dial or to write to",
}
REACHING = re.compile(
    r"""\.get\(\s*["'](?:email|phone)["']\s*\)|["'](?:tel|mailto):|contact\(["']phone["']\)"""
)
NOT_REACHING: Mapping[str, str] = {
    "services/loop/tasks/handlers/search.py": "is found by it",
    "services/ingest": "takes it in, and knows the person by it",
    "services/demo": "makes it up",
    "services/bench": "as above",
    "shared/web/oidc": "an address of staff",
    "shared/identity": "as above",
}


def test_every_place_that_could_reach_a_customer_asks_first() -> None:
    found = {
        str(path.relative_to(ROOT))
        for room in ("services", "shared")
        for path in (ROOT / room).rglob("*.py")
        if REACHING.search(path.read_text(encoding="utf-8"))
    }
    reaching = {name for name in found if not name.startswith(tuple(NOT_REACHING))}
    assert reaching == set(PLACES)


@pytest.mark.parametrize(
    ("block", "purpose", "refused", "why"),
    [
        (WILLING, "follow_up", None, None),
        (WILLING, "news", None, "no_consent"),
        ({**WILLING, "consent": {"news": True}}, "news", None, None),
        ({**WILLING, "consent": {"news": True}}, "follow_up", None, "no_consent"),
        ({**WILLING, "do_not_contact": True}, "follow_up", None, "do_not_contact"),
        (WILLING, "follow_up", "do_not_contact", "do_not_contact"),
        (WILLING, "follow_up", "no_consent", "no_consent"),
        ({**WILLING, "consent": {"news": True}}, "news", "do_not_contact", "do_not_contact"),
        ({"email": ADDRESS}, "follow_up", None, "no_consent"),
        ({"email": ADDRESS, "consent": "yes"}, "follow_up", None, "no_consent"),
        ({"consent": {"follow_up": True}}, "follow_up", None, "no_address"),
        (None, "follow_up", None, "erased"),
    ],
)
def test_silence_is_no_consent_and_a_refusal_weighs_more(
    block: Mapping[str, Any] | None, purpose: Any, refused: Refusal | None, why: str | None
) -> None:
    assert why_not_write(block, purpose=purpose, refused=refused) == why


def test_an_address_that_reaches_nobody_is_none() -> None:
    why = why_not_write(WILLING, unusable={"email"}, purpose="follow_up", refused=None)
    assert why == "no_address"


def test_only_clear_words_refuse_and_take_back() -> None:
    assert refused_in({"do_not_contact": True, "consent": {"follow_up": False}}) == (
        "do_not_contact"
    )
    assert refused_in(UNWILLING) == "no_consent"
    assert refused_in({"do_not_contact": "yes", "consent": {"follow_up": None}}) is None
    assert allowed_in({"do_not_contact": False, "consent": {"follow_up": True}}) == {
        "do_not_contact",
        "no_consent",
    }
    assert allowed_in({"consent": {"follow_up": "yes"}}) == frozenset()


def mails_of(shop: Shop) -> list[str]:
    """Return to whom mails went, and their words."""
    found = []
    for message in shop.house.mail.messages:
        body = message.get_body(("plain",))
        assert body is not None
        found.append(f"{message['To']}: {' '.join(body.get_content().split())}")
    return found


@pytest_asyncio.fixture
async def shop(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Shop]:
    opened = Shop(
        database=database_of("loop"),
        clock=clock,
        keyring=keyring,
        person_keys=person_keys,
        house=House(database_of("notify"), clock, keyring, person_keys),
    )
    await opened.open_for_business()
    yield opened


async def say(shop: Shop, block: Mapping[str, Any]) -> None:
    """Have Maya answer once more, contentedly."""
    shop.clock.advance(timedelta(minutes=10))
    happy = await shop.response(score=10, customer="c-maya", block=block)
    await shop.take_in(happy)


@pytest.mark.parametrize(
    ("block", "reason"),
    [(LEFT_ALONE, "customer_do_not_contact"), (UNWILLING, "customer_no_consent")],
)
async def test_who_wants_to_be_left_alone_meanwhile_is_not_asked(
    shop: Shop, block: Mapping[str, Any], reason: str
) -> None:
    task = await shop.hears("Late.", customer="c-maya", block=WILLING)
    await shop.act(task, *SOLVED)
    await shop.tell(send=False)

    await say(shop, block)
    await shop.tell()

    assert [mail for mail in mails_of(shop) if mail.startswith(ADDRESS)] == []
    (question,) = [
        one
        for one in await shop.house.deliveries(Channel.EMAIL)
        if one.target == task.person_ref
    ]
    assert question.reason == reason


async def test_who_is_willing_again_is_asked(shop: Shop) -> None:
    task = await shop.hears("Late.", customer="c-maya", block=WILLING)
    await shop.act(task, *SOLVED)
    await shop.tell(send=False)

    await say(shop, UNWILLING)
    await say(shop, WILLING)
    await shop.tell()

    assert len([mail for mail in mails_of(shop) if mail.startswith(ADDRESS)]) == 1


async def test_a_refusal_with_any_answer_holds_for_every_task_and_page(shop: Shop) -> None:
    block = {**WILLING, "phone": "+46 70 000 00 00"}
    task = await shop.hears("Late.", customer="c-maya", block=block)
    await say(shop, LEFT_ALONE)

    async with shop.browsing("ana") as browser:
        page = (await browser.get(f"/tasks/{task.id}")).text
        queue = (await browser.get("/?tab=open")).text
        customer = (await browser.get(f"/customers/{task.person_ref}")).text
        document = (await browser.get(f"/v1/tasks/{task.id}")).json()
    await shop.act(task, *SOLVED)
    async with shop.browsing("ana") as browser:
        settled = (await browser.get(f"/v1/tasks/{task.id}")).json()

    assert "tel:" not in page
    assert "mailto:" not in page
    assert "Do not contact this customer" in page
    assert "do not contact" in queue
    assert "do not contact" in customer
    assert document["flags"] == ["do_not_contact"]
    assert settled["outcome"]["customer_asked"]["why_not"] == "do_not_contact"


async def test_mails_to_staff_say_so_too(shop: Shop) -> None:
    await shop.hears("Late.", customer="c-maya", block={**WILLING, "phone": "+46 70 000 00 00"})
    await shop.tell()
    await say(shop, UNWILLING)
    shop.clock.advance(timedelta(hours=25))
    worker = TimerWorker(shop.loop)
    while await worker.step():
        pass
    await shop.tell()

    first, *later = mails_of(shop)
    assert "Please contact the customer by" in first
    late = [mail for mail in later if "was due" in mail]
    assert late
    assert all("they did not agree to a follow-up" in mail for mail in late)
    assert not any("Please contact the customer now" in mail for mail in late)


async def test_another_team_is_not_told_what_the_customer_asked_for(shop: Shop) -> None:
    task = await shop.hears("Late.", customer="c-maya", block=LEFT_ALONE)

    async with shop.browsing("max") as browser:
        page = (await browser.get(f"/tasks/{task.id}")).text
        document = (await browser.get(f"/v1/tasks/{task.id}")).json()

    assert document["flags"] == ["restricted"]
    assert "Do not contact" not in page


async def test_the_latest_word_counts_whatever_comes_late(shop: Shop) -> None:
    now, hour = shop.clock.now(), timedelta(hours=1)

    async def standing(*said: tuple[int, Mapping[str, Any]]) -> Refusal | None:
        async with shop.database.transaction() as tx:
            for at, customer in said:
                await note_wishes(
                    tx, [Said(person_ref="per_1", at=now + at * hour, customer=customer)]
                )
            return (await refusals_of(tx, ["per_1"])).get("per_1")

    assert await standing((2, UNWILLING), (1, WILLING)) == "no_consent"
    assert await standing((3, WILLING)) is None
    assert await standing((4, LEFT_ALONE), (5, WILLING)) == "do_not_contact"
    assert await standing((6, {"do_not_contact": False})) is None
    assert await shop.rows(contact_refusals) == []
