"""The pages of webhooks as a browser without scripts meets them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.notify import store
from services.notify.domain.alerts import EVENT_TYPES
from services.notify.domain.deliveries import Channel, Outcome, State, Verdict
from services.notify.pages.webhooks.words import EVENTS, STATES
from services.notify.store import Webhook
from services.notify.upkeep import Upkeep
from shared.identity.erasure import erase_person
from tests.notices import LATER, WORDS
from tests.staff import audited
from tests.webhook_desk import WebhookDesk, webhook_desk_on

LIST = "/settings/webhooks"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
URL = "https://crm.example.com/hooks/token-4711"
NEW = {"url": URL, "event:task.*": "yes", "detail": "thin"}
SAID = Outcome(
    verdict=Verdict.TRANSIENT, reason="http_500", code=500, reply="<b>boom</b> at line 7"
)
GONE = Outcome(verdict=Verdict.GONE, reason="receiver_gone", code=410)


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[WebhookDesk]:
    async with webhook_desk_on(str(tmp_path / "desk.db")) as opened:
        yield opened


async def send(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form."""
    return await browser.post(path, data=fields, headers=FORM)


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def webhooks_of(desk: WebhookDesk) -> list[Webhook]:
    async with desk.house.database.reading() as view:
        return list(await store.list_webhooks(view, desk.house.keyring, limit=50))


async def made(desk: WebhookDesk, **members: object) -> str:
    webhook, _ = await desk.house.webhook(URL, **members)
    return f"{LIST}/{webhook.id}"


# ---------------------------------------------------------------- made and changed


async def test_a_webhook_is_made_and_its_secret_shown_once(desk: WebhookDesk) -> None:
    async with desk.browsing("dev") as browser:
        empty = said(await browser.get(LIST))
        answer = await send(browser, LIST, **NEW)
        listed = await browser.get(LIST)

    (webhook,) = await webhooks_of(desk)
    secret = webhook.secrets[0].value
    assert "No webhooks yet" in empty
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert f'value="{secret}"' in unescape(answer.text)
    assert secret not in listed.text
    assert (webhook.url, webhook.events, webhook.detail) == (URL, ("task.*",), "thin")
    assert "Everything about tasks" in said(listed)


async def test_sending_the_form_again_makes_no_second_webhook(desk: WebhookDesk) -> None:
    async with desk.browsing("dev") as browser:
        await send(browser, LIST, **NEW)
        again = await send(browser, LIST, **NEW)

    assert again.status_code == 422
    assert "There is a webhook to this URL already." in said(again)
    assert len(await webhooks_of(desk)) == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"url": ""}, "Please fill in this field."),
        ({"url": "http://crm.example.com:22/ x"}, "Please give a URL"),
        ({"url": "https://127.0.0.1/"}, "public internet"),
        ({"url": "https://user:pass@crm.example.com/"}, "user name and password"),
        ({"event:task.*": ""}, "Please choose at least one."),
        ({"event:task.opend": "yes"}, "Please choose from the list."),
        ({"detail": "all"}, "Please choose one."),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_made(
    desk: WebhookDesk, fields: dict[str, str], error: str
) -> None:
    async with desk.browsing("dev") as browser:
        answer = await send(browser, LIST, **{**NEW, **fields})

    assert answer.status_code == 422
    assert error in said(answer)
    assert await webhooks_of(desk) == []


async def test_it_can_be_changed_and_asked_for_everything(desk: WebhookDesk) -> None:
    path = await made(desk)
    async with desk.browsing("dev") as browser:
        answer = await send(
            browser,
            path,
            url="https://new.example.com/hook",
            **{"event:*": "yes", "event:task.opened": "yes"},
            detail="full",
        )
        wrong = await send(browser, path, url="https://10.0.0.1/", detail="full")
        page = await browser.get(answer.headers["location"])

    (webhook,) = await webhooks_of(desk)
    assert answer.status_code == 303
    assert "The webhook is saved." in said(page)
    assert webhook.url == "https://new.example.com/hook"
    assert webhook.events == ("*", "task.opened")
    assert webhook.detail == "full"
    assert wrong.status_code == 422
    assert 'value="https://10.0.0.1/"' in wrong.text
    assert "webhook.changed" in await audited(desk.house.database)


async def test_a_new_secret_is_shown_once_and_not_made_twice(desk: WebhookDesk) -> None:
    path = await made(desk)
    async with desk.browsing("dev") as browser:
        page = await browser.get(path)
        found = re.search(r'name="changed" value="([^"]+)"', page.text)
        assert found
        desk.house.clock.advance(timedelta(minutes=1))
        form = {"overlap": "1", "changed": unescape(found[1])}
        answer = await send(browser, f"{path}/rotate", **form)
        again = await send(browser, f"{path}/rotate", **form)
        unclear = await send(browser, f"{path}/rotate", overlap="1", changed="x")
        unknown = await send(browser, f"{path}/rotate", overlap="2", changed=form["changed"])

    (webhook,) = await webhooks_of(desk)
    newest, former = webhook.secrets
    assert answer.status_code == 200
    assert newest.value in unescape(answer.text)
    assert former.value not in unescape(answer.text)
    assert former.until == desk.house.clock.now() + timedelta(hours=1)
    assert [again.status_code, unclear.status_code] == [412, 412]
    assert unknown.status_code == 422
    assert "made already" in said(again)


async def test_it_is_deleted_only_when_somebody_is_sure(desk: WebhookDesk) -> None:
    path = await made(desk)
    async with desk.browsing("dev") as browser:
        unsure = await send(browser, f"{path}/delete")
        kept = len(await webhooks_of(desk))
        sure = await send(browser, f"{path}/delete", sure="yes")
        listed = await browser.get(sure.headers["location"])
        gone = await browser.get(path)

    assert unsure.status_code == 422
    assert kept == 1
    assert "The webhook is deleted." in said(listed)
    assert gone.status_code == 404
    assert await webhooks_of(desk) == []


# ---------------------------------------------------------------- what was sent


async def test_every_try_shows_status_time_and_what_the_receiver_said(
    desk: WebhookDesk,
) -> None:
    path = await made(desk)
    desk.house.posts.answers = [SAID]
    await desk.house.hear(await desk.house.event())
    await desk.house.dispatch()
    (one,) = await desk.house.deliveries(Channel.WEBHOOK)
    async with desk.browsing("dev") as browser:
        page = await browser.get(path)
        delivery = await browser.get(f"{path}/deliveries/{one.id}")
        foreign = await browser.get(f"{LIST}/whk_other/deliveries/{one.id}")
        mail = next(each for each in await desk.house.deliveries(Channel.EMAIL))
        of_a_mail = await browser.get(f"{path}/deliveries/{mail.id}")

    assert f'href="{path}/deliveries/{one.id}"' in page.text
    assert "The receiver answered 500." in said(page)
    assert "&lt;b&gt;boom&lt;/b&gt; at line 7" in delivery.text
    for words in ("Try 1", "500", "0 ms", "msg_", "tsk_1", "waiting"):
        assert words in said(delivery)
    assert [foreign.status_code, of_a_mail.status_code] == [404, 404]


async def test_the_list_is_narrowed_to_a_state_and_has_pages(desk: WebhookDesk) -> None:
    path = await made(desk)
    for n in range(30):
        await desk.house.hear(await desk.house.event(task_id=f"tsk_{n:02}"))
    await desk.house.dispatch()
    desk.house.posts.answers = [LATER]
    await desk.house.hear(await desk.house.event(task_id="tsk_bad"))
    await desk.house.dispatch()
    async with desk.browsing("uwe") as browser:
        waiting = await browser.get(f"{path}?state=due")
        held = said(await browser.get(f"{path}?state=held"))
        first = await browser.get(f"{path}?state=delivered&limit=20")
        older = re.search(rf'href="({re.escape(path)}\?[^"]*cursor[^"]+)"', first.text)
        assert older
        second = await browser.get(unescape(older[1]))

    assert waiting.text.count("/deliveries/dlv_") == 1
    assert "There is nothing in this state." in held
    assert first.text.count("/deliveries/dlv_") == 20
    assert second.text.count("/deliveries/dlv_") == 10


async def test_the_share_of_seven_days_counts_what_arrived_and_what_did_not(
    desk: WebhookDesk,
) -> None:
    path = await made(desk)
    await desk.house.hear(await desk.house.event(task_id="tsk_old"))
    desk.house.posts.answers = [SAID]
    await desk.house.dispatch()
    desk.house.clock.advance(timedelta(days=8))
    for n in range(3):
        await desk.house.hear(await desk.house.event(task_id=f"tsk_{n}"))
    await desk.house.dispatch()
    desk.house.posts.answers = [SAID]
    await desk.house.hear(await desk.house.event(task_id="tsk_bad"))
    await desk.house.dispatch()
    await desk.house.hear(await desk.house.event(task_id="tsk_untried"))

    async with desk.browsing("uwe") as browser:
        listed, page = said(await browser.get(LIST)), said(await browser.get(path))

    assert "75% 3 delivered" in listed.replace(" %", "%")
    assert "75% 3 delivered" in page.replace(" %", "%")


async def test_the_body_is_shown_as_it_was_sent_and_the_look_is_audited(
    desk: WebhookDesk,
) -> None:
    path = await made(desk, detail="full")
    await desk.house.hear(await desk.house.event())
    await desk.house.dispatch()
    (one,) = await desk.house.deliveries(Channel.WEBHOOK)
    async with desk.browsing("dev") as browser:
        seen = unescape((await browser.get(f"{path}/deliveries/{one.id}")).text)
        looked = (await audited(desk.house.database)).count("delivery.opened")
        async with desk.house.database.transaction() as tx:
            await erase_person(tx, "per_1", desk.house.clock.now())
        erased = await browser.get(f"{path}/deliveries/{one.id}")

    assert WORDS in seen
    assert '"name": "Ana Berg"' in seen
    assert looked == 1
    assert "Ana Berg" not in erased.text
    assert "have been erased" in said(erased)
    assert (await audited(desk.house.database)).count("delivery.opened") == 1


async def test_one_delivery_is_sent_once_more_and_not_while_it_is_on_its_way(
    desk: WebhookDesk,
) -> None:
    path = await made(desk)
    await desk.house.hear(await desk.house.event())
    await desk.house.dispatch()
    (one,) = await desk.house.deliveries(Channel.WEBHOOK)
    async with desk.browsing("dev") as browser:
        answer = await send(browser, f"{path}/deliveries/{one.id}/resend")
        again = await send(browser, f"{path}/deliveries/{one.id}/resend")
        after = await browser.get(answer.headers["location"])
    await desk.house.dispatch()

    assert answer.status_code == 303
    assert "once more, under the same id" in said(after)
    assert again.status_code == 409
    assert "on its way already" in said(again)
    first, second = desk.house.posts.calls
    assert first.message_id == second.message_id


async def test_a_test_event_leads_to_what_became_of_it(desk: WebhookDesk) -> None:
    path = await made(desk)
    async with desk.browsing("dev") as browser:
        answer = await send(browser, f"{path}/test")
        await desk.house.dispatch()
        page = said(await browser.get(answer.headers["location"]))

    assert answer.status_code == 303
    assert "A test event" in page
    assert "The receiver took it." in page
    assert "Closed Loop can reach this endpoint." in page


# ---------------------------------------------------------------- off, on, and what was held


async def test_one_that_was_switched_off_by_itself_has_a_banner_and_a_way_back(
    desk: WebhookDesk,
) -> None:
    path = await made(desk)
    desk.house.posts.answers = [GONE]
    await desk.house.hear(await desk.house.event(task_id="tsk_gone"))
    await desk.house.dispatch()
    desk.house.clock.advance(timedelta(minutes=30))
    await desk.house.hear(await desk.house.event(task_id="tsk_meanwhile"))
    since = {"since": "2026-03-02T09:00", "what": "send"}
    async with desk.browsing("ada") as browser:
        listed, off = await browser.get(LIST), await browser.get(path)
        early = await send(browser, f"{path}/recover", **since)
        trial = await send(browser, f"{path}/test")
        on = await send(browser, f"{path}/enable")
        shown = await browser.get(on.headers["location"].partition("#")[0])
        sent = await send(browser, f"{path}/recover", **since)
        after = await browser.get(sent.headers["location"])
        twice = await send(browser, f"{path}/recover", **since)
    await desk.house.dispatch()

    for page in (listed, off):
        assert "note bad" in page.text
        assert "410 Gone" in said(page)
    assert [early.status_code, trial.status_code] == [409, 409]
    assert on.headers["location"].endswith("#recover")
    assert "1 message is held" in said(shown)
    assert 'value="2026-03-02T09:30"' in shown.text
    assert "is on its way" in said(after)
    assert twice.headers["location"].endswith("done=nothing")
    states = {one.state for one in await desk.house.deliveries(Channel.WEBHOOK)}
    assert states == {State.DELIVERED}


async def test_what_was_held_can_be_skipped(desk: WebhookDesk) -> None:
    path = await made(desk)
    await desk.house.hear(await desk.house.event())
    async with desk.browsing("ada") as browser:
        off = await send(browser, f"{path}/disable")
        answer = await send(browser, f"{path}/recover", since="2026-03-01T00:00", what="skip")
        later = await send(browser, f"{path}/recover", since="2027-03-01T00:00", what="send")
        empty = await send(browser, f"{path}/recover", since="", what="")

    assert off.status_code == 303
    assert answer.headers["location"].endswith("done=skipped")
    assert [later.status_code, empty.status_code] == [422, 422]
    assert "a moment that has passed" in said(later)
    (one,) = await desk.house.deliveries(Channel.WEBHOOK)
    assert (one.state, one.reason) == (State.FAILED, "skipped")


async def test_one_that_fails_for_a_day_has_a_warning(desk: WebhookDesk) -> None:
    path = await made(desk)
    desk.house.posts.answers = [LATER]
    await desk.house.hear(await desk.house.event())
    await desk.house.dispatch()
    desk.house.clock.advance(timedelta(hours=25))
    upkeep = Upkeep(
        desk.house.database, desk.house.clock, keyring=desk.house.keyring, wake=lambda: None
    )
    while await upkeep.step():
        pass
    async with desk.browsing("dev") as browser:
        pages = [await browser.get(LIST), await browser.get(path)]

    for page in pages:
        assert "note warn" in page.text
        assert "Nothing has got through since" in said(page)


# ---------------------------------------------------------------- who may what


async def test_whoever_may_only_look_sees_the_host_and_no_form(desk: WebhookDesk) -> None:
    path = await made(desk)
    async with desk.browsing("uwe") as browser:
        pages = [await browser.get(LIST), await browser.get(path)]
        refused = [
            (await send(browser, where, **NEW, sure="yes")).status_code
            for where in (
                LIST,
                path,
                *(f"{path}/{act}" for act in ("enable", "disable", "rotate", "test")),
                *(f"{path}/{act}" for act in ("recover", "delete", "deliveries/x/resend")),
            )
        ]

    for page in pages:
        assert page.status_code == 200
        assert "4711" not in page.text
        assert "crm.example.com" in page.text
        assert page.text.count("<form") == 1  # signing out
    assert set(refused) == {403}


async def test_whoever_has_no_business_with_webhooks_sees_none(desk: WebhookDesk) -> None:
    path = await made(desk)
    async with desk.browsing("lea") as browser:
        assert (await browser.get(LIST)).status_code == 403
        assert (await browser.get(path)).status_code == 403


async def test_a_form_from_elsewhere_changes_nothing(desk: WebhookDesk) -> None:
    path = await made(desk)
    async with desk.browsing("dev") as browser:
        answer = await browser.post(
            f"{path}/delete", data={"sure": "yes"}, headers={"Origin": "https://evil.example"}
        )

    assert answer.status_code == 403
    assert len(await webhooks_of(desk)) == 1


def test_everything_that_may_be_asked_for_has_a_name() -> None:
    assert set(EVENT_TYPES) <= set(EVENTS)
    assert set(STATES) == set(State)
